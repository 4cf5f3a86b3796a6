import type { Mistake } from "./mistake.ts";
import type { Metric, Policy, RolloutStep } from "./policy.ts";

type Path = readonly PropertyKey[];

/** What a policy says against itself; the paths are those of the file. */
export function policyMistakes(policy: Policy): readonly Mistake[] {
  return [...stepMistakes(policy), ...analysisMistakes(policy), ...metricMistakes(policy)];
}

function mistake(path: Path, message: string): readonly Mistake[] {
  return [{ path, message }];
}

function stepMistakes(policy: Policy): readonly Mistake[] {
  const { rollout } = policy;
  if (rollout.strategy === "recreate") return [];
  const path = ["rollout", rollout.strategy, "steps"];
  const each = rollout.steps.flatMap((step, index) =>
    oneStep(rollout.steps, index, step, [...path, index]),
  );
  const weights = weightsOf(rollout.steps);
  if (rollout.strategy === "blueGreen")
    return weights.length === 0
      ? each
      : [...each, ...mistake(path, "blueGreen moves all traffic at once: weights are for canary")];
  const last = weights.at(-1);
  if (last === undefined)
    return [...each, ...mistake(path, "a canary needs a weight step: - weight: 10%")];
  const most = 100 - policy.holdback * 100;
  if (last > most)
    return [
      ...each,
      ...mistake(
        path,
        `the last weight is ${last}%, above the ${Number(most.toFixed(6))}% that the holdback leaves for the bake: lower either`,
      ),
    ];
  return each;
}

function weightsOf(steps: readonly RolloutStep[]): readonly number[] {
  return steps.flatMap((step) => (step.kind === "weight" ? [step.percent] : []));
}

function oneStep(
  steps: readonly RolloutStep[],
  index: number,
  step: RolloutStep,
  path: Path,
): readonly Mistake[] {
  if (step.kind === "pause") return [];
  const endless =
    step.until.requests === 0 && step.until.timeMs === 0
      ? mistake(
          [...path, step.kind === "analysis" ? "analysis" : "until"],
          "is over at once: give it requests, a time or both",
        )
      : [];
  const before = steps.slice(0, index);
  if (step.kind === "analysis") {
    const fed = before.some(({ kind }) => kind === "weight" || kind === "mirror");
    return fed
      ? endless
      : [
          ...endless,
          ...mistake(path, "nothing to analyse yet: a weight or mirror step comes first"),
        ];
  }
  const highest = Math.max(0, ...weightsOf(before));
  if (step.kind === "weight" && step.percent <= highest)
    return [
      ...endless,
      ...mistake(
        [...path, "weight"],
        `is ${step.percent}%: weights rise, and ${highest}% comes before it`,
      ),
    ];
  return endless;
}

function analysisMistakes({ analysis, rollback, bakeMs }: Policy): readonly Mistake[] {
  const found: Mistake[] = [];
  if (analysis.holdAlpha < analysis.alpha)
    found.push({
      path: ["analysis", "holdAlpha"],
      message: `is below alpha (${analysis.alpha}): the rollout would go back before it holds`,
    });
  if (bakeMs > 0 && bakeMs < analysis.flushMs)
    found.push({
      path: ["rollout", "bake"],
      message: `is shorter than analysis.flush (${analysis.flushMs} ms): nothing would be looked at; 0 is no bake`,
    });
  if (rollback.automatic) return found;
  for (const key of ["inconclusive", "noData"] as const) {
    if (analysis[key].action === "rollback")
      found.push({
        path: ["analysis", key, "then"],
        message: "is rollback, but rollback.automatic is false: nothing goes back by itself",
      });
  }
  return found;
}

function isBlind(metric: Metric): boolean {
  return (
    "max" in metric && "tolerance" in metric && metric.tolerance === null && metric.max === null
  );
}

function metricMistakes({ analysis, rollback }: Policy): readonly Mistake[] {
  const path = ["analysis", "metrics"];
  const blind = analysis.metrics
    .filter(isBlind)
    .flatMap(({ name }) =>
      mistake(
        [...path, name, "compare"],
        "is false and there is no max: nothing would be watched; `off: true` takes the metric out",
      ),
    );
  const twice = (["inputDrift", "disagreement"] as const).flatMap((once) =>
    analysis.metrics
      .filter(({ kind }) => kind === once)
      .slice(1)
      .flatMap(({ name }) =>
        mistake([...path, name], `is a second ${once}: there is one comparison of that kind`),
      ),
  );
  const acts = analysis.metrics.some(({ action }) => action === "rollback");
  if (acts || !rollback.automatic) return [...blind, ...twice];
  return [
    ...blind,
    ...twice,
    ...mistake(
      path,
      "none of them rolls back: give one `action: rollback`, or write `rollback: { automatic: false }`",
    ),
  ];
}
