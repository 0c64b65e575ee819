/** A JSON schema (2020-12), as OpenAPI 3.1 takes it. */
export type Schema = { readonly [keyword: string]: unknown };

export type OpenApiMethod = 'get' | 'post' | 'put' | 'patch' | 'delete';

export interface OpenApiOperation {
  /** Unique in the document. */
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Schema[];
  readonly requestBody?: Schema;
  /** By status. Those that every operation may answer are added by the document. */
  readonly responses: Readonly<Record<string, Schema>>;
  /** `[]`: no key is asked for. Absent: as everywhere. */
  readonly security?: readonly Schema[];
}

/** Paths with `{parameter}`, below `/api/v1`, and what their methods do. */
export type OpenApiPaths = Readonly<
  Record<string, Readonly<Partial<Record<OpenApiMethod, OpenApiOperation>>>>
>;

/** What one group of routes adds to the document. */
export interface OpenApiPart {
  readonly paths: OpenApiPaths;
  /** Named schemas, unique in the document; `ref` points to one. */
  readonly schemas: Readonly<Record<string, Schema>>;
}

export function ref(schema: string): Schema {
  return { $ref: `#/components/schemas/${schema}` };
}

/** An answer in JSON. */
export function answer(description: string, schema: Schema): Schema {
  return { description, content: { 'application/json': { schema } } };
}

export function jsonBody(schema: Schema, required = true): Schema {
  return { required, content: { 'application/json': { schema } } };
}

export function pathParameter(name: string, description: string): Schema {
  return { name, in: 'path', required: true, description, schema: { type: 'string' } };
}

export function queryParameter(
  name: string,
  description: string,
  schema: Schema = { type: 'string' },
): Schema {
  return { name, in: 'query', required: false, description, schema };
}

/** An object with these members; others may be there as well, which clients keep. */
export function object(properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { type: 'object', properties, required };
}
