import { revisionOf, type EndpointState } from "../../core/rollout/index.ts";
import type { TargetChoice } from "../../core/target/index.ts";
import type { StoredManifest } from "../../storage/store/index.ts";
import type { Published } from "../link/index.ts";
import type { EndpointDeps, StoredEndpoint } from "./deps.ts";
import {
  comparedRevisions,
  desiredRoute,
  loadedRevisions,
  routeFingerprint,
} from "./desired-route.ts";
import { COLD_PROOF_AGE_MS, type TargetChooser } from "./target-choice.ts";
import type { VersionCatalog } from "./version-catalog.ts";

/** Publishes an endpoint's routes to every gateway, one after the other, each newer than the last. */
export class RoutePublisher {
  readonly #deps: EndpointDeps;
  readonly #catalog: VersionCatalog;
  readonly #chooser: TargetChooser;
  /** Routes sent since the start. Each start has an epoch of its own, so it need not be stored. */
  #sequence = 0;
  #published: string | null = null;
  /** Times that a gateway came: one that came while a route was on its way has not got it. */
  #arrivals = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: EndpointDeps, catalog: VersionCatalog, chooser: TargetChooser) {
    this.#deps = deps;
    this.#catalog = catalog;
    this.#chooser = chooser;
  }

  /**
   * Publishes the route of the state and waits until every gateway has swapped.
   * @throws `gateway.unavailable`, or what a gateway says of the route.
   */
  publish(stored: () => StoredEndpoint): Promise<Published> {
    return this.#inTurn(() =>
      this.#send(stored(), true).then((published) => published as Published),
    );
  }

  /**
   * Publishes only if the gateways do not have the same already. False where one of them still does
   * not; one that is away gets it when it comes.
   * @throws as `publish`.
   */
  async publishIfChanged(stored: () => StoredEndpoint): Promise<boolean> {
    if (this.#deps.gateways.connected().length === 0) return true;
    // As it is when its turn has come: one that was older would go out after what came between.
    const published = await this.#inTurn(() => this.#send(stored(), false));
    return published?.taken ?? true;
  }

  /** A gateway came that may know nothing: what was published counts no more. */
  forget(): void {
    this.#published = null;
    this.#arrivals += 1;
  }

  /** Where a rollback goes now. */
  chooseNow(state: EndpointState): Promise<TargetChoice> {
    return this.#chooser.chooseForSwitch(state);
  }

  async #send(stored: StoredEndpoint, always: boolean): Promise<Published | null> {
    const { state } = stored;
    // A switch waits for no disk: what else could be gone back to is proven right after it.
    const choice = await this.#chooser.choose(state, always ? "known" : COLD_PROOF_AGE_MS);
    const manifests = new Map<number, StoredManifest>();
    for (const number of [...loadedRevisions(state, choice), ...comparedRevisions(state)]) {
      const revision = revisionOf(state, number);
      if (revision !== undefined)
        manifests.set(
          number,
          await this.#catalog.manifest(state.identity.model, revision.version.sequence),
        );
    }
    const unordered = { generation: 0, epoch: 0, sequence: 0 };
    const now = this.#deps.clock.now();
    const { historyHead } = stored;
    const { errorInputs } = this.#deps;
    const parts = { state, order: unordered, historyHead, choice, now, manifests, errorInputs };
    const fingerprint = routeFingerprint(desiredRoute(parts));
    if (!always && fingerprint === this.#published) return null;
    this.#sequence += 1;
    const order = { ...(await this.#deps.store.meta.order()), sequence: this.#sequence };
    if (always) this.#deps.checkpoint("publish.ordered");
    const arrivals = this.#arrivals;
    const published = await this.#deps.gateways.publish(desiredRoute({ ...parts, order }));
    this.#published = published.taken && arrivals === this.#arrivals ? fingerprint : null;
    return published;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
