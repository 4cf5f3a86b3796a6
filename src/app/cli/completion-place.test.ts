import type { Command } from "commander";
import { expect, test } from "vitest";

import { readTyped, type Place } from "./completion-place.ts";
import { buildProgram } from "./program.ts";
import { Session } from "./session.ts";
import { Terminal } from "./terminal.ts";

async function placeAt(line: string): Promise<Place> {
  const out = { write: () => undefined };
  const terminal = new Terminal({ stdout: out, stderr: out, isTerminal: false, colour: false });
  const around = { terminal, env: {}, programName: "lastgood", programFolder: "/nowhere" };
  const words = line.split(" ");
  const program = await buildProgram(words, new Session(around));
  return readTyped(program as unknown as Command, words).place;
}

test.each<[line: string, place: Place]>([
  ["deploy ", { kind: "version", files: false }],
  ["deploy fraud@v1.0 ", { kind: "nothing" }],
  ["deploy fraud@v1.0 --to ", { kind: "endpoint" }],
  ["deploy --to fraud-prod fra", { kind: "version", files: false }],
  ["deploy fraud@v1.1 --if-current ", { kind: "selector", of: "fraud" }],
  ["deploy --policy ", { kind: "files" }],
  ["rollback ", { kind: "endpoint" }],
  ["rollback --version ", { kind: "selector", of: null }],
  ["undo fraud-prod --version=v", { kind: "selector", of: "fraud-prod" }],
  ["rollout set-weight ", { kind: "endpoint" }],
  ["rollout status ", { kind: "endpoint" }],
  ["serve -m ", { kind: "version", files: true }],
  ["serve --model-uri=./m", { kind: "version", files: true }],
  ["register ", { kind: "model" }],
  ["register fraud ", { kind: "files" }],
  ["register fraud m.onnx --postprocess ", { kind: "files" }],
  ["import ", { kind: "files" }],
  ["import x --as ", { kind: "model" }],
  ["show ", { kind: "version", files: false }],
  ["show fraud ", { kind: "selector", of: "fraud" }],
  ["show fraud@v1.0 ", { kind: "nothing" }],
  ["diff fraud v1.0 ", { kind: "selector", of: "fraud" }],
  ["diff fraud@v1.0 ", { kind: "selector", of: "fraud" }],
  ["alias fraud@v1.0 ", { kind: "alias", of: "fraud" }],
  ["alias fraud v1.0 ", { kind: "alias", of: "fraud" }],
  ["history ", { kind: "endpoint" }],
  ["incident --endpoint ", { kind: "endpoint" }],
  ["no-such-verb ", { kind: "nothing" }],
])("what could come at the end of %j", async (line, place) => {
  expect(await placeAt(line)).toEqual(place);
});

test.each([
  ["mark fraud@v1.0 ", ["stable", "failed", "pending"]],
  ["deploy --strategy ", ["recreate", "blueGreen", "canary"]],
  ["completion ", ["bash", "zsh", "fish"]],
  ["policy ", ["show"]],
])("a choice is offered whole: %j", async (line, values) => {
  const place = await placeAt(line);
  const offered = place.kind === "words" ? place.words.map(({ value }) => value) : [];
  expect(offered.toSorted()).toEqual(expect.arrayContaining(values.toSorted()) as unknown);
});
