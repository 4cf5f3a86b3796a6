import type { Verb } from "./verb.ts";

interface Given {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly asksServer?: boolean;
  readonly changes?: boolean;
  readonly load: Verb["load"];
}

function inGroup(group: string, verbs: readonly Given[]): Verb[] {
  return verbs.map((verb) => ({ aliases: [], asksServer: true, changes: false, ...verb, group }));
}

/** Every verb, in the order of the first help screen. */
export const VERBS: readonly Verb[] = [
  ...inGroup("Every day:", [
    {
      name: "serve",
      summary: "start the server, or serve one version on a port",
      asksServer: false,
      load: () => import("./verb/serve.ts"),
    },
    {
      name: "register",
      summary: "store a model version",
      changes: true,
      load: () => import("./verb/register.ts"),
    },
    {
      name: "deploy",
      summary: "roll a version out to an endpoint",
      changes: true,
      load: () => import("./verb/deploy.ts"),
    },
    {
      name: "status",
      summary: "what every endpoint serves, and where a rollback would go",
      load: () => import("./verb/status.ts"),
    },
    {
      name: "rollback",
      aliases: ["undo"],
      summary: "bring the last good version back, now",
      changes: true,
      load: () => import("./verb/rollback.ts"),
    },
    {
      name: "history",
      summary: "who did what, when and why; --verify checks the chain",
      load: () => import("./verb/history.ts"),
    },
    {
      name: "diff",
      aliases: ["compare"],
      summary: "two versions side by side",
      load: () => import("./verb/diff.ts"),
    },
    {
      name: "doctor",
      summary: "would a rollback work now? checks everything it needs",
      load: () => import("./verb/doctor.ts"),
    },
  ]),
  ...inGroup("Versions:", [
    {
      name: "import",
      summary: "register versions from a folder, a git repository or MLflow",
      changes: true,
      load: () => import("./verb/import.ts"),
    },
    {
      name: "versions",
      summary: "list models, or the versions of one",
      load: () => import("./verb/versions.ts"),
    },
    { name: "show", summary: "everything about a version", load: () => import("./verb/show.ts") },
    {
      name: "tag",
      summary: "set or remove tags of a version",
      changes: true,
      load: () => import("./verb/tag.ts"),
    },
    {
      name: "alias",
      summary: "point a movable name at a version",
      changes: true,
      load: () => import("./verb/alias.ts"),
    },
    {
      name: "mark",
      summary: "judge a version: stable, failed or pending",
      changes: true,
      load: () => import("./verb/mark.ts"),
    },
    {
      name: "archive",
      summary: "put a version away; its files are kept",
      changes: true,
      load: () => import("./verb/archive.ts"),
    },
  ]),
  ...inGroup("Rollouts:", [
    {
      name: "rollout",
      summary: "steer a rollout by hand: status, set-weight, pause, resume, promote, abort",
      changes: true,
      load: () => import("./verb/rollout.ts"),
    },
    {
      name: "apply",
      summary: "put a policy file in force: lastgood.yaml",
      changes: true,
      load: () => import("./verb/apply.ts"),
    },
    {
      name: "policy",
      summary: "show the policy in force at an endpoint",
      load: () => import("./verb/policy.ts"),
    },
    {
      name: "reinstate",
      summary: "take back a wrong rollback",
      changes: true,
      load: () => import("./verb/reinstate.ts"),
    },
    {
      name: "pin",
      summary: "keep an endpoint from going back by itself for a while",
      changes: true,
      load: () => import("./verb/pin.ts"),
    },
    {
      name: "unpin",
      summary: "let it go back by itself again",
      changes: true,
      load: () => import("./verb/unpin.ts"),
    },
  ]),
  ...inGroup("Evidence:", [
    {
      name: "incident",
      summary: "what broke, when, for whom, and what was done",
      load: () => import("./verb/incident.ts"),
    },
    {
      name: "explain",
      summary: "compute the verdicts on a rollout again, and compare",
      load: () => import("./verb/explain.ts"),
    },
    {
      name: "simulate",
      summary: "how soon a policy would catch a bad candidate at your traffic",
      load: () => import("./verb/simulate.ts"),
    },
    {
      name: "feedback",
      summary: "tell what is known of predictions: correct, wrong, label or score",
      load: () => import("./verb/feedback.ts"),
    },
  ]),
  ...inGroup("The server's folder:", [
    {
      name: "gc",
      summary: "remove what no version within reach of a rollback needs",
      changes: true,
      load: () => import("./verb/gc.ts"),
    },
  ]),
  ...inGroup("This program:", [
    {
      name: "demo",
      summary: "a real update that fails and is taken back, live",
      asksServer: false,
      load: () => import("./verb/demo.ts"),
    },
    {
      name: "config",
      summary: "show each setting and where it comes from",
      asksServer: false,
      load: () => import("./verb/config.ts"),
    },
    {
      name: "completion",
      summary: "print a completion script for your shell",
      asksServer: false,
      load: () => import("./verb/completion.ts"),
    },
  ]),
];

/** The verb of that name or alias, or null. */
export function findVerb(name: string): Verb | null {
  return VERBS.find((verb) => verb.name === name || verb.aliases.includes(name)) ?? null;
}
