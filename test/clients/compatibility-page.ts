/** What came of one call of a client. */
export interface Called {
  readonly client: string;
  readonly call: string;
  /** What the client raised, or null. */
  readonly error: string | null;
  /** The answer was not the right one. */
  readonly wrong: boolean;
}

/** A call that is refused by design. */
export interface RefusedCall {
  /** What the client's error holds. */
  readonly text: string;
  /** What to do instead, for the page. */
  readonly instead: string;
}

/** Calls that are refused by design, by client and call. */
export type RefusedCalls = Readonly<Record<string, Readonly<Record<string, RefusedCall>>>>;

const HEAD = `# Compatibility

Made by \`npm run test:clients\`, which makes each of these calls with the unmodified client against a
running server. A call works, or is refused by design with an error that says so.
`;

/** The page of all calls, in the order in which they were made. */
export function compatibilityPage(called: readonly Called[], refused: RefusedCalls): string {
  const clients = [...new Set(called.map(({ client }) => client))];
  const sections = clients.map((client) => {
    const rows = called
      .filter((each) => each.client === client)
      .map(({ call }) => {
        const instead = refused[client]?.[call]?.instead;
        const outcome = instead === undefined ? "works" : `refused by design: ${instead}`;
        return `| \`${call}\` | ${outcome} |`;
      });
    return `## ${client}\n\n| call | |\n|---|---|\n${rows.join("\n")}\n`;
  });
  return [HEAD, ...sections].join("\n");
}
