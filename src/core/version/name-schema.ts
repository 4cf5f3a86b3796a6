import * as z from "zod";

import { LastgoodError } from "../errors/index.ts";
import { parseDigest, parseEndpointName, parseModelName, parseVersionName } from "./name.ts";

function branded<T extends string>(parse: (text: string) => T): z.ZodType<T, string> {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      const { code, message, hint } = LastgoodError.from(error);
      context.addIssue({ code: "custom", message, params: { code, hint } });
      return z.NEVER;
    }
  });
}

/** Schemas of the branded names, for every edge that takes one in. */
export const modelNameSchema = branded(parseModelName);
/** Schema of a version's own name. */
export const versionNameSchema = branded(parseVersionName);
/** Schema of an endpoint's name. */
export const endpointNameSchema = branded(parseEndpointName);
/** Schema of a digest. */
export const digestSchema = branded(parseDigest);
