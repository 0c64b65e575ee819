/** What a route throws for an answer that is no success; `error-answer.ts` writes it as the documented body. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly statusCode: number;
  /** A documented code, which clients decide by; undefined: the protocol has none for it, as for an unknown path. */
  readonly code: string | undefined;
  /** The answer's `xproxy_result`. */
  readonly result: object | undefined;
  /** After how long the same request may succeed; absent where waiting does not help. */
  readonly retryAfterMs: number | undefined;

  constructor(
    statusCode: number,
    code: string | undefined,
    message: string,
    details: { readonly result?: object; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.statusCode = statusCode;
    this.code = code;
    this.result = details.result;
    this.retryAfterMs = details.retryAfterMs;
  }
}
