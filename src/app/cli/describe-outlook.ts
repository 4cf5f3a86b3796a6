import type { Outlook, Untested } from "../../core/analysis/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import { grouped, percentText } from "./phrase.ts";

type Stage = Outlook["stages"][number];

const rate = (perSecond: number): string => `${Number(perSecond.toPrecision(2))} requests/s`;

function stageText(stage: Stage, index: number): string {
  const { kind, percent, timeMs, requests } = stage;
  const time = timeMs === null ? null : formatDuration(timeMs);
  if (kind === "bake") return `bake for ${time ?? "-"}`;
  const name = `step ${index + 1}: `;
  if (kind === "pause") return `${name}${time === null ? "waits for you" : `pause for ${time}`}`;
  const what =
    percent === null ? "analysis" : `${percent} %${kind === "mirror" ? " mirrored" : ""}`;
  const until = [
    ...(requests === null ? [] : [`${grouped(requests)} requests`]),
    ...(timeMs === null || timeMs === 0 ? [] : [formatDuration(timeMs)]),
  ].join(" and ");
  if (timeMs === null) return `${name}${what} until you promote it`;
  return `${name}${what}${until === "" ? "" : ` until ${until}`}`;
}

function seesText({ kind, detectable, timeMs }: Stage, { traffic, comparison }: Outlook): string {
  if (traffic === null || kind === "pause" || timeMs === null) return "";
  if (detectable !== null) return `: sees errors from ${percentText(detectable)} on`;
  if (kind === "bake" && comparison === "absolute")
    return ": nothing runs beside it; stable is asked before it goes back";
  return ": too few requests to see anything by itself";
}

/** What a rollout does next, and the smallest regression each stage can see with the traffic so far. */
export function outlookLines(outlook: Outlook): string[] {
  const { traffic, stages } = outlook;
  if (stages.length === 0) return [];
  const untested = untestedLines(outlook.untested).map((line) => `  ${line}`);
  const lines = stages.map(
    (stage, index) => `${stageText(stage, index)}${seesText(stage, outlook)}`,
  );
  const known =
    traffic === null
      ? "no baseline traffic yet: what it can see shows in `lastgood rollout status`"
      : `by the traffic so far: ${rate(traffic.requestsPerSecond)}, ${percentText(traffic.errorRate)} errors, over ${formatDuration(traffic.observedMs)}; half of the time, each stage by itself`;
  const next = [...lines, known].map(
    (line, at) => `${at === 0 ? "  next      " : " ".repeat(12)}${line}`,
  );
  return [...next, ...untested];
}

/** Which metrics of the policy say nothing, why, and what would test them: a line for all that are alike. */
export function untestedLines(untested: readonly Untested[]): string[] {
  const alike = Map.groupBy(untested, ({ why, testedBy }) => `${why}; ${testedBy}`);
  return [...alike].map(
    ([words, metrics]) => `untested  ${metrics.map(({ metric }) => metric).join(", ")}: ${words}`,
  );
}
