import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

export interface HttpCall {
  /** A string is sent as it is; absent: no body, but the content type of JSON as the clients of that API state it. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls a gateway and holds every answer against the document that it serves. */
export class GatewayHttp {
  readonly #url: string;
  readonly #operations: readonly Operation[];
  readonly #schemaAt: (pointer: string) => ValidateFunction;

  static async open(url: string): Promise<GatewayHttp> {
    const document: unknown = await (await fetch(`${url}/api/v1/openapi.json`)).json();
    return new GatewayHttp(url, document);
  }

  private constructor(url: string, document: unknown) {
    this.#url = url;
    const { paths } = DOCUMENT.parse(document);
    this.#operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { responses }]) => ({
        method: method.toUpperCase(),
        path,
        pattern: new RegExp(`^/api/v1${path.replace(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`),
        statuses: Object.keys(responses),
      })),
    );
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document as object, 'document'); // It was parsed above.
    const compiled = new Map<string, ValidateFunction>();
    this.#schemaAt = (pointer) => {
      const known = compiled.get(pointer) ?? ajv.compile({ $ref: `document#${pointer}` });
      compiled.set(pointer, known);
      return known;
    };
  }

  /** `path` is below `/api/v1`. */
  async call(method: string, path: string, { body, headers }: HttpCall = {}): Promise<HttpAnswer> {
    const response = await fetch(`${this.#url}/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const parsed: unknown = JSON.parse(text);
    this.check(method, new URL(response.url).pathname, response.status, parsed);
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  /** Throws if the document does not say that this is answered. */
  check(method: string, path: string, status: number, body: unknown): void {
    const operation = this.#operations.find((each) => each.method === method && each.pattern.test(path));
    // What is nowhere in the document is answered as an error.
    const pointer =
      operation === undefined
        ? '/components/schemas/Error'
        : `/paths/${escaped(operation.path)}/${method.toLowerCase()}/responses/${
            operation.statuses.includes(String(status)) ? status : 'default'
          }/content/application~1json/schema`;
    const validate = this.#schemaAt(pointer);
    if (validate(body)) return;
    const what = `${method} ${path} answered ${status} with what its document does not say`;
    throw new Error(`${what}: ${JSON.stringify(validate.errors)} of ${JSON.stringify(body)}`);
  }
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly pattern: RegExp;
  readonly statuses: readonly string[];
}

/** A part of a JSON pointer in a URI fragment. */
function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}

const DOCUMENT = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.object({ responses: z.record(z.string(), z.unknown()) })),
  ),
});
