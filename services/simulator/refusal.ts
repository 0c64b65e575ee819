/** An answer other than 200, in the provider's shape. Thrown by whoever notices, written by the HTTP edge alone. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, details: RefusalDetails = {}) {
    super(message);
    this.status = status;
    this.type = details.type ?? 'invalid_request_error';
    this.param = details.param ?? null;
    this.code = details.code ?? null;
    this.headers = details.headers ?? {};
  }
}

export interface RefusalDetails {
  readonly type?: string;
  readonly param?: string;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function toWireRefusal({ message, type, param, code }: Refusal): object {
  return { error: { message, type, param, code } };
}

export function keyMissing(): Refusal {
  return new Refusal(
    401,
    "You didn't provide an API key. Send it in an Authorization header: Authorization: Bearer YOUR_KEY.",
  );
}

export function keyWrong(): Refusal {
  return new Refusal(401, 'Incorrect API key provided.', { code: 'invalid_api_key' });
}

export function modelNotFound(): Refusal {
  return new Refusal(404, 'The requested model does not exist or you do not have access to it.', {
    param: 'model',
    code: 'model_not_found',
  });
}

export function contextTooLong(tokensMax: number, param: 'messages' | 'input'): Refusal {
  return new Refusal(
    400,
    `This model's maximum context length is ${tokensMax} tokens. However, your ${param} resulted in more. ` +
      `Please reduce the length of the ${param}.`,
    { param, code: 'context_length_exceeded' },
  );
}

export function bodyTooLarge(bytesMax: number): Refusal {
  return new Refusal(413, `The request body is larger than ${bytesMax} bytes.`, {
    code: 'request_too_large',
  });
}

export function bodyNotJson(): Refusal {
  return new Refusal(400, 'We could not parse the JSON body of your request.');
}

export function unknownPath(): Refusal {
  return new Refusal(404, 'Unknown request URL. Please check the URL for typos.', { code: 'unknown_url' });
}

export function wrongMethod(allowed: readonly string[]): Refusal {
  return new Refusal(405, `This URL takes ${allowed.join(' or ')} only.`, {
    code: 'method_not_supported',
    headers: { allow: allowed.join(', ') },
  });
}

export function rateLimited(retryAfterMs: number): Refusal {
  return new Refusal(429, `Rate limit reached. Please try again in ${retryAfterMs}ms.`, {
    type: 'requests',
    code: 'rate_limit_exceeded',
    headers: { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}`, 'retry-after-ms': `${retryAfterMs}` },
  });
}

export function serverError(status: number): Refusal {
  return new Refusal(status, 'The server had an error while processing your request.', {
    type: 'server_error',
  });
}
