import { LastgoodError } from "../../core/errors/index.ts";
import type { CompiledRoute } from "./compiled-route.ts";

/** Every endpoint's route at one moment. Immutable: a switch replaces the table whole. */
export class RouteTable {
  readonly #routes: ReadonlyMap<string, CompiledRoute>;
  readonly #byModel: ReadonlyMap<string, readonly CompiledRoute[]>;
  readonly #defaultEndpoint: string | null;

  /** `defaultEndpoint` answers addresses without a name where several endpoints exist. */
  constructor(routes: Iterable<CompiledRoute>, defaultEndpoint: string | null) {
    this.#routes = new Map([...routes].map((route) => [route.endpoint, route]));
    this.#byModel = Map.groupBy(this.#routes.values(), (route) => route.route.model);
    this.#defaultEndpoint = defaultEndpoint;
  }

  get size(): number {
    return this.#routes.size;
  }

  /** Names of all endpoints. */
  names(): readonly string[] {
    return [...this.#routes.keys()];
  }

  /** Every route. */
  routes(): Iterable<CompiledRoute> {
    return this.#routes.values();
  }

  /** The table with one endpoint's route replaced or added. */
  with(route: CompiledRoute): RouteTable {
    return new RouteTable(
      new Map(this.#routes).set(route.endpoint, route).values(),
      this.#defaultEndpoint,
    );
  }

  /** The route of an endpoint by its own name, or undefined. */
  get(endpoint: string): CompiledRoute | undefined {
    return this.#routes.get(endpoint);
  }

  /**
   * The route a client's URL means: an endpoint's name, else a model's name while one endpoint has
   * it; null means the default endpoint (the only one, else the configured one).
   * @throws `route.not-found` listing the names there are.
   */
  find(name: string | null): CompiledRoute {
    if (name === null) return this.#default();
    const exact = this.#routes.get(name);
    if (exact !== undefined) return exact;
    const ofModel = this.#byModel.get(name);
    if (ofModel?.length === 1 && ofModel[0] !== undefined) return ofModel[0];
    if (ofModel !== undefined) {
      throw new LastgoodError(
        "route.not-found",
        `several endpoints serve the model "${name}": ${ofModel.map((route) => route.endpoint).join(", ")}`,
        { hint: "name the endpoint instead of the model" },
      );
    }
    throw new LastgoodError(
      "route.not-found",
      `no endpoint is named "${name}"; ${this.#listed()}`,
      {
        details: { endpoints: this.names() },
      },
    );
  }

  #default(): CompiledRoute {
    if (this.#defaultEndpoint !== null) return this.find(this.#defaultEndpoint);
    const [only, other] = this.#routes.values();
    if (only !== undefined && other === undefined) return only;
    throw new LastgoodError(
      "route.not-found",
      `this address means the default endpoint and there is none; ${this.#listed()}`,
      { hint: "name the endpoint in the URL", details: { endpoints: this.names() } },
    );
  }

  #listed(): string {
    return this.size === 0
      ? "nothing is served yet"
      : `there are: ${this.names().toSorted().join(", ")}`;
  }
}
