import type { Assessment } from "../analysis/index.ts";
import type { RevisionVersion, Strategy, Trigger } from "../endpoint/index.ts";
import type { LastgoodError } from "../errors/index.ts";
import type { Policy } from "../policy/index.ts";
import type { Target, TargetChoice } from "../target/index.ts";
import type { Digest, RuntimeSpec, Signature } from "../version/index.ts";
import type { Measured, Progress } from "./state.ts";

/** The end of a way back: what the revision that was left wrote last, redacted. */
interface WithLogLines {
  readonly logLines?: readonly string[];
}

interface Command {
  /** Names who waits for the outcome. */
  readonly operation: string;
  readonly actor: string;
  readonly reason: string | null;
}

/** What a person, a pipeline or the system itself asks of an endpoint. */
export interface Deploy extends Command {
  readonly type: "deploy";
  readonly rolloutId: string;
  readonly version: RevisionVersion;
  readonly digest: Digest;
  readonly runtime: RuntimeSpec;
  readonly signature: Signature;
  /** The endpoint's, which the fields below override. */
  readonly policy: Policy;
  /** Null: the policy's. */
  readonly strategy: Strategy | null;
  /** Percent of a canary that a person steers by hand; null: the policy's steps. */
  readonly weight: number | null;
  /** Null: the policy's, but none for an endpoint's first revision. */
  readonly bakeMs: number | null;
  readonly force: boolean;
  readonly replace: boolean;
  /** Set when the version is failed or archived: why it may not be deployed without force. */
  readonly barred: string | null;
  /** Whether what serves now would be a proven way back, or why not. */
  readonly wayBack: { readonly proven: true } | { readonly proven: false; readonly why: string };
}

/** Sends the endpoint back. */
export interface Rollback extends Command {
  readonly type: "rollback";
  readonly rollbackId: string;
  readonly trigger: Trigger;
  /** What the choice found; a named version is its only target. */
  readonly choice: TargetChoice;
  readonly named: boolean;
  readonly again: boolean;
  readonly keepStatus: boolean;
}

/** Takes back the last rollback. */
export interface Reinstate extends Command {
  readonly type: "reinstate";
  readonly rollbackId: string;
  /** Which rollback; null for the last. */
  readonly rollback: string | null;
  /** The revision to return to, proven, or why it is not. */
  readonly target: Target | { readonly unproven: string };
}

/** A person's verdict on a version, as this endpoint hears of it. */
export interface Mark extends Command {
  readonly type: "mark";
  readonly rollbackId: string;
  readonly sequence: number;
  readonly status: "stable" | "failed" | "pending";
  readonly choice: TargetChoice;
}

/** What the evidence of a rollout says now. */
export interface Assessed {
  readonly type: "assessed";
  readonly rolloutId: string;
  /** Id of the rollback that this may become. */
  readonly rollbackId: string;
  readonly verdict: Pick<Assessment, "decision" | "why" | "blamed" | "source"> & {
    /** Enough to go back by, were it certain that stable would do better. */
    readonly proposed?: boolean;
  };
  /** What it was decided by, for the history of a rollback or of the bake's end; null where nothing can be. */
  readonly evidence: Readonly<Record<string, unknown>> | null;
  /** Which evidence was looked at, up to which record, and what else was known; for the history of what it changes. */
  readonly look?: Readonly<Record<string, unknown>>;
  readonly trigger: Extract<Trigger, "analysis" | "limit" | "health" | "logs">;
  readonly progress: Progress;
  /** ms since 1970: what came of requests until then is part of the verdict; null: that is not known. */
  readonly seenUntil: number | null;
  readonly choice: TargetChoice;
}

/** What can happen to an endpoint. */
export type EndpointEvent =
  | Deploy
  | Rollback
  | Reinstate
  | Mark
  | (Command & { readonly type: "setWeight"; readonly weight: number })
  | (Command & { readonly type: "promote"; readonly full: boolean })
  | (Command & { readonly type: "pause"; readonly forMs: number | null })
  | (Command & { readonly type: "resume" })
  /** Keeps the endpoint from going back by itself, for a while. */
  | (Command & { readonly type: "pin"; readonly forMs: number | null })
  | (Command & { readonly type: "unpin" })
  | Assessed
  | (Command & {
      readonly type: "abort";
      readonly rollbackId: string;
      readonly choice: TargetChoice;
    })
  | (Command & { readonly type: "applyPolicy"; readonly policy: Policy })
  | { readonly type: "prepared"; readonly rolloutId: string }
  | {
      readonly type: "preparationFailed";
      readonly rolloutId: string;
      readonly error: LastgoodError;
    }
  | (WithLogLines & {
      readonly type: "switched";
      readonly switchId: string;
      readonly measured: Measured;
    })
  | (WithLogLines & {
      readonly type: "switchFailed";
      readonly switchId: string;
      readonly error: LastgoodError;
      /** Where to go from here, should the switch have been a way forward. */
      readonly choice: TargetChoice;
      /** Why what served before failed the same verification; null where it did not, or was not asked. */
      readonly outage: string | null;
    })
  | (WithLogLines & {
      readonly type: "overridden";
      readonly id: string;
      readonly from: number;
      readonly to: number;
      readonly at: number;
      readonly actor: string;
      readonly reason: string | null;
      readonly keepStatus: boolean;
      readonly trigger: Trigger;
      readonly measured: Measured;
      /** With which the operation of the command begins, where it came under one. */
      readonly key?: string | undefined;
    })
  /** A version failed at another endpoint: told, never acted on (status is local first). */
  | {
      readonly type: "failedElsewhere";
      readonly sequence: number;
      readonly endpoint: string;
      readonly reason: string | null;
    }
  /** A way back that stays wanted may be tried again: where it would go now. */
  | {
      readonly type: "retry";
      /** Id of what is wanted. */
      readonly wanted: string;
      readonly rollbackId: string;
      /** Empty where no target can be verified. */
      readonly choice: TargetChoice;
    }
  | { readonly type: "tick" };

/** The name of an event. */
export type EventType = EndpointEvent["type"];
