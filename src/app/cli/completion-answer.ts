import { LastgoodClient } from "../../client/index.ts";
import type { EndpointView } from "../../core/api/index.ts";
import { readTyped, type Candidate, type Place } from "./completion-place.ts";
import { httpFetch } from "./http-fetch.ts";
import type { Session } from "./session.ts";
import type { BuildProgram } from "./verb.ts";

/** Longest wait for the server; a prompt that hangs is worse than one that knows less, ms. */
const PATIENCE_MS = 700;
/** Newest versions of a model that are offered. */
const NEWEST = 200;

/** What could be typed next. */
export interface CompletionAnswer {
  readonly candidates: readonly Candidate[];
  /** A path could be typed too. */
  readonly files: boolean;
}

/**
 * What could be typed at the end of a command line, the last word being typed (and perhaps empty).
 * Names come from the server; where none answers there are none.
 */
export async function completionAnswer(
  session: Session,
  build: BuildProgram,
  words: readonly string[],
): Promise<CompletionAnswer> {
  const program = await build(words, session);
  // The program's own types are not known to what only reads its declarations.
  const typed = readTyped(program as never, words);
  const { place, current, prefix } = typed;
  const all = await candidatesAt(place, current, () => serverOf(session, typed.options));
  const fitting = all.filter(({ value }) => value.startsWith(current));
  return {
    candidates: fitting.map(({ value, about }) => ({ value: `${prefix}${value}`, about })),
    files: place.kind === "files" || (place.kind === "version" && place.files),
  };
}

async function serverOf(
  session: Session,
  options: ReadonlyMap<string, string>,
): Promise<LastgoodClient | null> {
  session.use({ url: options.get("--url"), dataDir: options.get("--data-dir") });
  const url = (await session.setting("url")) ?? (await ownServer(session));
  if (url === null) return null;
  const token = session.env["LASTGOOD_TOKEN"];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return new LastgoodClient({
    url,
    token,
    fetch: (address, request) => httpFetch(address, { ...request, signal }),
  });
}

async function ownServer(session: Session): Promise<string | null> {
  const file = await session.serverFile();
  return file === null ? null : `http://${file.apiAddress}`;
}

async function candidatesAt(
  place: Place,
  current: string,
  connect: () => Promise<LastgoodClient | null>,
): Promise<readonly Candidate[]> {
  if (place.kind === "words") return place.words;
  if (place.kind === "files" || place.kind === "nothing") return [];
  try {
    const client = await connect();
    return client === null ? [] : await namesAt(place, current, client);
  } catch {
    // Nobody wants to read an error in the middle of typing.
    return [];
  }
}

type Named = Extract<
  Place,
  { readonly kind: "endpoint" | "model" | "version" | "selector" | "alias" }
>;

async function namesAt(
  place: Named,
  current: string,
  client: LastgoodClient,
): Promise<readonly Candidate[]> {
  switch (place.kind) {
    case "endpoint":
      return (await client.status()).endpoints.map(endpointCandidate);
    case "model":
      return (await client.models()).map(({ name, versions }) => ({
        value: name,
        about: `${versions} versions`,
      }));
    case "version":
      return references(client, current);
    case "alias":
      return (await newest(client, place.of)).flatMap(({ aliases, name, sequence }) =>
        aliases.map((value) => ({ value, about: `now at ${name ?? sequence}` })),
      );
    case "selector": {
      const model = await modelOf(client, place.of);
      return model === null ? references(client, current) : selectors(client, model);
    }
  }
}

function endpointCandidate({ name, model, current }: EndpointView): Candidate {
  return { value: name, about: current === null ? model : `${model} ${current.version}` };
}

/** The model of that name, or that the endpoint of that name serves; with no name, that of the only endpoint. */
async function modelOf(client: LastgoodClient, name: string | null): Promise<string | null> {
  const { endpoints } = await client.status();
  if (name === null) return endpoints.length === 1 ? (endpoints[0]?.model ?? null) : null;
  return endpoints.find((endpoint) => endpoint.name === name)?.model ?? name;
}

async function newest(
  client: LastgoodClient,
  model: string,
): ReturnType<LastgoodClient["versions"]> {
  const found = (await client.models()).find(({ name }) => name === model);
  if (found === undefined) return [];
  return client.versions(model, { after: Math.max(0, found.versions - NEWEST) });
}

async function selectors(client: LastgoodClient, model: string): Promise<readonly Candidate[]> {
  return (await newest(client, model))
    .toReversed()
    .map(({ name, sequence, status }) => ({ value: name ?? String(sequence), about: status }));
}

/** `fraud@` while several models could be meant, then each version and alias of the one. */
async function references(client: LastgoodClient, current: string): Promise<readonly Candidate[]> {
  const models = (await client.models()).filter(({ name }) =>
    current.includes("@") ? current.startsWith(`${name}@`) : name.startsWith(current),
  );
  const [only, second] = models;
  if (only === undefined || second !== undefined)
    return models.map(({ name, versions }) => ({
      value: `${name}@`,
      about: `${versions} versions`,
    }));
  const versions = (await newest(client, only.name)).toReversed();
  return [
    ...versions.map(({ name, sequence, status }) => ({
      value: `${only.name}@${name ?? sequence}`,
      about: status,
    })),
    ...versions.flatMap(({ aliases, name, sequence }) =>
      aliases.map((alias) => ({
        value: `${only.name}@${alias}`,
        about: `alias of ${name ?? sequence}`,
      })),
    ),
  ];
}
