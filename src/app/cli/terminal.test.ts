import { expect, test } from "vitest";

import { Terminal } from "./terminal.ts";

function printed(colour: boolean, say: (terminal: Terminal) => void): string {
  let text = "";
  const output = { write: (more: string) => (text += more) };
  say(new Terminal({ stdout: output, stderr: output, isTerminal: colour, colour }));
  return text;
}

// Clears the screen, names the window, and goes back to overwrite what stands there.
const HOSTILE = "late\u001b[2J\u001b]0;owned\u0007\r\u009b1A\u001b[32mfine";

test("what others wrote is shown, and steers no terminal", () => {
  for (const say of [
    (terminal: Terminal) => terminal.print(HOSTILE),
    (terminal: Terminal) => terminal.note(HOSTILE),
    (terminal: Terminal) => terminal.answer(null, () => [HOSTILE]),
  ]) {
    expect(printed(false, say)).toBe("late\\x1b[2J\\x1b]0;owned\\x07\\x0d\\x9b1A\\x1b[32mfine\n");
    expect(printed(true, say).replaceAll("\u001b[32m", "")).not.toMatch(/[^\P{Cc}\n]/u);
  }
});

test("lines, tabs and our own colours stay", () => {
  const styled = printed(true, (terminal) => terminal.print(terminal.style("red", "a"), "b\tc"));
  expect(styled).toBe("\u001b[31ma\u001b[39m\nb\tc\n");
});
