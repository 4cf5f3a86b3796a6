import { posix } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import type { GitRepository } from "./git-repository.ts";

/** Links on one path before it is given up, as Linux has it. */
const MAX_LINKS = 40;

/** @returns what refuses a symbolic link of a repository. */
export function badLink(link: string, why: string): LastgoodError {
  return new LastgoodError("artifact.invalid", `the symbolic link ${link} ${why}`, {
    hint: "commit the file itself in its place, and tag that commit",
  });
}

/** Why a link that comes back to itself, or to a folder that it lies in, is refused. */
export const IN_A_CIRCLE = "leads in a circle";

/**
 * The path that is meant by one of a commit, with the symbolic links on it followed inside that
 * commit. What git does not have may be DVC's, and stays as it is.
 * @throws `artifact.invalid` with the link that leads out of the repository, or in a circle.
 */
export async function withoutLinks(
  repository: Pick<GitRepository, "link">,
  commit: string,
  path: string,
): Promise<string> {
  const rest = path.split("/");
  const at: string[] = [];
  const links: string[] = [];
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (at.pop() === undefined) throw badLink(links[0] ?? path, "leads out of the repository");
      continue;
    }
    at.push(part);
    const target = await repository.link(commit, at.join("/"));
    if (target === null) continue;
    links.push(at.join("/"));
    at.pop();
    if (posix.isAbsolute(target))
      throw badLink(links[0] ?? path, `leads out of the repository, to ${target}`);
    if (links.length > MAX_LINKS) throw badLink(links[0] ?? path, IN_A_CIRCLE);
    rest.unshift(...target.split("/"));
  }
  // The repository's own folder holds the link too.
  if (at.length === 0) throw badLink(links[0] ?? path, IN_A_CIRCLE);
  return at.join("/");
}
