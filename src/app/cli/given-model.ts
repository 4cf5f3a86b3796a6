import { LastgoodError } from "../../core/errors/index.ts";
import { readModel, readSteps, type FoundModel } from "../model-folder/index.ts";

/** Steps that a command line names. */
interface GivenSteps {
  readonly preprocess?: string | undefined;
  readonly model?: string | undefined;
  readonly postprocess?: string | undefined;
}

/**
 * The files that were named and what their folder says of them; nothing where none was.
 * @throws `usage.invalid` for what is named twice or in part; what reading it throws.
 */
export async function givenModel(path: string | undefined, steps: GivenSteps): Promise<FoundModel> {
  const { preprocess = null, model = null, postprocess = null } = steps;
  if (path !== undefined && model !== null)
    throw new LastgoodError(
      "usage.invalid",
      `the model is named twice: ${path} and --model ${model}`,
      {
        hint: "leave one of them out",
      },
    );
  const only = path ?? model;
  if (preprocess === null && postprocess === null && only !== null) return readModel(only);
  return readSteps({ preprocess, model: only, postprocess });
}
