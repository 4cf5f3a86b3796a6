/** Variables for a model's code and its installers: our own settings, and what may be secret in them, are no business of theirs. */
export function inheritedVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("LASTGOOD_")),
  );
}
