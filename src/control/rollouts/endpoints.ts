import type { EndpointIdentity } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { newEndpoint, type EndpointState } from "../../core/rollout/index.ts";
import { Disagreements, Proofs } from "../proof/index.ts";
import type { EndpointDeps, StoredEndpoint } from "./deps.ts";
import { EndpointController } from "./endpoint-controller.ts";
import { RoutePublisher } from "./route-publisher.ts";
import { TargetChooser } from "./target-choice.ts";
import { VersionCatalog } from "./version-catalog.ts";

/** One endpoint with what runs it. */
export interface RunningEndpoint {
  readonly controller: EndpointController;
  readonly publisher: RoutePublisher;
}

/** All endpoints of the server, each with its controller. */
export class Endpoints {
  readonly deps: EndpointDeps;
  readonly catalog: VersionCatalog;
  readonly chooser: TargetChooser;
  readonly disagreements: Disagreements;
  readonly #running = new Map<string, RunningEndpoint>();
  /** Being made right now, by name. */
  readonly #making = new Map<string, Promise<RunningEndpoint>>();

  constructor(deps: EndpointDeps) {
    this.deps = deps;
    this.catalog = new VersionCatalog(deps.store);
    this.disagreements = new Disagreements(deps);
    this.chooser = new TargetChooser(
      this.catalog,
      new Proofs({
        artifacts: deps.artifacts,
        revisionStates: () => deps.gateways.revisionStates(),
        disagreement: (digest) => this.disagreements.why(digest),
        clock: deps.clock,
      }),
    );
  }

  /** Takes over every stored endpoint and goes on with what each was doing. */
  async resume(): Promise<void> {
    for (const record of await this.deps.store.endpoints.list()) {
      const { controller } = this.run({
        // Written by this module alone; a release that changes its form brings a migration.
        state: record.state as EndpointState,
        revisionOfState: record.revisionOfState,
        historyHead: record.historyHead,
      });
      controller.resume();
    }
  }

  /** Starts the controller of a stored endpoint. */
  run(stored: StoredEndpoint): RunningEndpoint {
    const publisher = new RoutePublisher(this.deps, this.catalog, this.chooser);
    const controller = new EndpointController(this.deps, publisher, stored);
    const running = { controller, publisher };
    this.#running.set(stored.state.identity.name, running);
    return running;
  }

  /**
   * Makes an endpoint that serves nothing yet; who asks for it while it is made gets the same.
   * @throws `endpoint.other-model` when another made it for another model meanwhile.
   */
  async create(identity: EndpointIdentity, actor: string): Promise<RunningEndpoint> {
    const { name, model } = identity;
    const making = this.#running.get(name) ?? this.#making.get(name) ?? this.#make(identity, actor);
    if (making instanceof Promise) this.#making.set(name, making);
    try {
      const made = await making;
      const of = made.controller.state.identity.model;
      if (of === model) return made;
      throw new LastgoodError("endpoint.other-model", `${name} serves ${of}, not ${model}`, {
        hint: "choose another name: --to",
      });
    } finally {
      this.#making.delete(name);
    }
  }

  async #make(identity: EndpointIdentity, actor: string): Promise<RunningEndpoint> {
    const now = this.deps.clock.now();
    const state = newEndpoint(identity, now);
    const saved = await this.deps.store.endpoints.save({
      name: identity.name,
      model: identity.model,
      state,
      revisionOfState: 0,
      entries: [
        {
          at: now,
          kind: "endpoint.created",
          actor,
          reason: null,
          data: { model: identity.model, environment: identity.environment },
        },
      ],
    });
    for (const entry of saved.entries) this.deps.onEntry(entry);
    return this.run({
      state,
      revisionOfState: saved.revisionOfState,
      historyHead: saved.historyHead,
    });
  }

  all(): readonly RunningEndpoint[] {
    return [...this.#running.values()];
  }

  get(name: string): RunningEndpoint | undefined {
    return this.#running.get(name);
  }

  /**
   * The endpoint a person means: its name, its model's name where one endpoint serves it, or nothing
   * where only one exists.
   * @throws `endpoint.not-found`, `endpoint.ambiguous`.
   */
  find(choice: string | null): RunningEndpoint {
    const all = this.all();
    const names = all.map(({ controller }) => controller.state.identity.name).join(", ");
    if (choice === null) {
      const [only, second] = all;
      if (only === undefined)
        throw new LastgoodError("endpoint.not-found", "there is no endpoint yet", {
          hint: "make one: `lastgood deploy <model>@<version> --to <endpoint>`",
        });
      if (second !== undefined)
        throw new LastgoodError("endpoint.ambiguous", `which endpoint? There are ${names}`, {
          hint: "name one of them",
          details: { endpoints: all.map(({ controller }) => controller.state.identity.name) },
        });
      return only;
    }
    const exact = this.#running.get(choice);
    if (exact !== undefined) return exact;
    const serving = this.ofModel(choice);
    const [one, another] = serving;
    if (one !== undefined && another === undefined) return one;
    if (one !== undefined)
      throw new LastgoodError(
        "endpoint.ambiguous",
        `${choice} is served by ${serving.map(({ controller }) => controller.state.identity.name).join(", ")}`,
        { hint: "name one of these endpoints" },
      );
    throw new LastgoodError("endpoint.not-found", `there is no endpoint ${choice}`, {
      hint: names === "" ? "`lastgood deploy` makes the first one" : `there are: ${names}`,
    });
  }

  /** Endpoints that serve the model. */
  ofModel(model: string): readonly RunningEndpoint[] {
    return this.all().filter(({ controller }) => controller.state.identity.model === model);
  }

  stop(): void {
    for (const { controller } of this.all()) controller.stop();
  }
}
