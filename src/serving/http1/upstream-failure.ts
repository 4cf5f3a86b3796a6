/** No answer within the time that there was. */
export class AnswerTimeout extends Error {
  override readonly name = "AnswerTimeout";
}

/** How far an exchange had come: not written, written, or answered in part. */
export type Stage = "unsent" | "sent" | "answering";

/** No answer, because the connection could not be made or was lost. */
export class AnswerLost extends Error {
  override readonly name = "AnswerLost";
  readonly stage: Stage;

  constructor(stage: Stage, why: string, cause?: unknown) {
    super(why, { cause });
    this.stage = stage;
  }
}

/** What came is no answer as HTTP/1.1 has it, or more than may come. */
export class AnswerInvalid extends Error {
  override readonly name = "AnswerInvalid";
}
