import { Worker } from "node:worker_threads";

import { LastgoodError } from "../../core/errors/index.ts";
import type { Log } from "./log.ts";
import type {
  FromWorker,
  ToWorker,
  WorkerCommand,
  WorkerNotice,
  WorkerSettings,
} from "./thread-messages.ts";

/** What a worker tells on its own. */
export type WorkerNews = Exclude<FromWorker, { kind: "done" | "failed" }>;

/** What the pool needs of the gateway. */
export interface WorkerPoolOptions {
  readonly entry: string;
  readonly count: number;
  readonly settings: Omit<WorkerSettings, "worker">;
  readonly log: Log;
  /** Brings a new worker up to date; it listens afterwards. */
  readonly prepare: (worker: number, send: SendCommand) => Promise<void>;
  readonly onNews: (worker: number, news: WorkerNews) => void;
  readonly onGone: (worker: number) => void;
}

/** Sends one command to one worker. */
export type SendCommand = (command: WorkerCommand) => Promise<unknown>;

interface Member {
  readonly number: number;
  readonly thread: Worker;
  readonly waiting: Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: unknown) => void }
  >;
  readonly startedAt: number;
  listening: boolean;
}

const RESTART_PAUSE_MS = 200;
const QUICK_DEATH_MS = 2_000;

/** The gateway's worker threads: starts them, starts them again, and talks to all of them. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #members = new Set<Member>();
  #nextNumber = 0;
  #nextId = 1;
  #ending = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#options.count;
  }

  /** Numbers of the workers that accept connections now. */
  listening(): readonly number[] {
    return [...this.#members].filter((member) => member.listening).map((member) => member.number);
  }

  /** Starts all workers; resolves when each accepts connections. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.count }, () => this.#startOne()));
  }

  /**
   * Sends a command to every worker and gathers the answers. A worker that dies meanwhile is left
   * out: the one that takes its place begins with what holds then.
   */
  async all(command: WorkerCommand): Promise<unknown[]> {
    const answers = await Promise.all(
      [...this.#members].map(async (member) => {
        try {
          return { value: await this.#command(member, command) };
        } catch (error) {
          if (this.#members.has(member)) throw error;
          return null;
        }
      }),
    );
    return answers.flatMap((answer) => (answer === null ? [] : [answer.value]));
  }

  /** Tells every worker. */
  tell(notice: WorkerNotice): void {
    for (const member of this.#members) this.#send(member, notice);
  }

  /** Tells one worker; one that is gone hears nothing. */
  tellOne(worker: number, notice: WorkerNotice): void {
    for (const member of this.#members) if (member.number === worker) this.#send(member, notice);
  }

  /** Ends all workers at once. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#members].map((member) => member.thread.terminate()));
  }

  async #startOne(): Promise<void> {
    // A number is never used twice: a worker's counts begin at 0 again.
    const number = this.#nextNumber++;
    const { entry, settings } = this.#options;
    const member: Member = {
      number,
      thread: new Worker(entry, { workerData: { ...settings, worker: number } }),
      waiting: new Map(),
      startedAt: Date.now(),
      listening: false,
    };
    this.#members.add(member);
    member.thread.on("message", (message: FromWorker) => this.#receive(member, message));
    member.thread.on("error", (error) => {
      this.#options.log("error", `worker ${number} failed`, { error: String(error) });
    });
    member.thread.on("exit", () => this.#gone(member));
    try {
      await this.#options.prepare(number, (command) => this.#command(member, command));
      await this.#command(member, { kind: "listen" });
    } catch (error) {
      await member.thread.terminate();
      throw error;
    }
    member.listening = true;
  }

  #gone(member: Member): void {
    this.#members.delete(member);
    for (const waiting of member.waiting.values())
      waiting.reject(new LastgoodError("internal", `worker ${member.number} ended`));
    member.waiting.clear();
    if (this.#ending) return;
    this.#options.onGone(member.number);
    const quick = Date.now() - member.startedAt < QUICK_DEATH_MS;
    setTimeout(
      () => {
        if (this.#ending) return;
        this.#startOne().catch((error: unknown) => {
          this.#options.log("error", "a worker did not start", { error: String(error) });
        });
      },
      quick ? RESTART_PAUSE_MS : 0,
    );
  }

  #receive(member: Member, message: FromWorker): void {
    if (message.kind !== "done" && message.kind !== "failed") {
      this.#options.onNews(member.number, message);
      return;
    }
    const waiting = member.waiting.get(message.id);
    member.waiting.delete(message.id);
    if (message.kind === "done") waiting?.resolve(message.result);
    else waiting?.reject(LastgoodError.fromBody(message.error));
  }

  #command(member: Member, command: WorkerCommand): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      member.waiting.set(id, { resolve, reject });
      this.#send(member, { kind: "command", id, command });
    });
  }

  #send(member: Member, message: ToWorker): void {
    member.thread.postMessage(message);
  }
}
