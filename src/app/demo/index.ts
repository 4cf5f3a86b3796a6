export { readModelFolder, type DemoModel } from "./model-folder.ts";
export { tellStory, type StoryOptions, type StoryResult } from "./story.ts";
export type { DemoTerminal } from "./screen.ts";
