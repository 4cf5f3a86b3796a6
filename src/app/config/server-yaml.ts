import * as z from "zod";

const remoteSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }),
  protocol: z.enum(["oip"]),
  /** The model's name there, where it differs from the remote's. */
  model: z.string().min(1).optional(),
  /** True where asking twice does no harm. */
  retries: z.boolean().default(false),
});

const serverYamlSchema = z.strictObject({
  remotes: z
    .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "is not a name"), remoteSchema)
    .default({}),
});

/** Model servers elsewhere, by the name under which versions refer to them. */
export type Remotes = z.infer<typeof serverYamlSchema>["remotes"];

/**
 * The server's own configuration (`--config server.yaml`); null means none.
 * @throws `config.invalid` with line and column.
 */
export async function readServerYaml(path: string | null): Promise<{ readonly remotes: Remotes }> {
  if (path === null) return { remotes: {} };
  const { readYaml } = await import("./yaml-file.ts");
  return readYaml(path, serverYamlSchema);
}
