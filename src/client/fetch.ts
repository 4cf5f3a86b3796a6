/** What the client needs of an HTTP answer. */
export interface FetchAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}

/** What the client sends. */
export interface FetchRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly redirect?: "error";
  readonly body?: string | Blob | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
}

/** How the client reaches a server; the platform's own `fetch` is one. */
export type Fetch = (url: string, request?: FetchRequest) => Promise<FetchAnswer>;
