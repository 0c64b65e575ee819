import type { Dialect } from './endpoint-names.js';

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

export function toWireRefusal({ status, message, type, param, code }: Refusal, dialect: Dialect): object {
  if (dialect === 'openai') return { error: { message, type, param, code } };
  return {
    type: 'error',
    error: { type: ANTHROPIC_TYPES[status] ?? (status < 500 ? type : 'api_error'), message },
  };
}

/** https://docs.anthropic.com/en/api/errors */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
};

export function keyMissing(dialect: Dialect): Refusal {
  return new Refusal(
    401,
    dialect === 'anthropic'
      ? 'x-api-key header is required'
      : "You didn't provide an API key. Send it in an Authorization header: Authorization: Bearer YOUR_KEY.",
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

export function contextTooLong(tokensMax: number, param: 'messages' | 'input' | 'prompt'): Refusal {
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
