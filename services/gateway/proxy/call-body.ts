import { repeatedMember } from '../../providers/json-member.js';
import {
  NotMetered,
  type ProviderRequest,
  type ProviderWire,
  WireFault,
} from '../../providers/provider-contract.js';
import { HttpFault } from '../http-fault.js';

export interface CallBody {
  readonly request: ProviderRequest;
  /** As it is sent on. */
  readonly text: Buffer | string;
}

/** What is asked for. The bytes go on as they came, but for what makes the provider tell the usage. */
export function callBody(wire: ProviderWire, bytes: Buffer): CallBody {
  if (bytes.length === 0) throw new HttpFault(400, 'required_field_missing', 'The body is missing.');
  const { text, value } = parse(bytes);
  const repeated = isObject(value) ? repeatedMember(text, READ_MEMBERS) : undefined;
  if (repeated !== undefined)
    throw new HttpFault(400, 'invalid_json', `The body has the member '${repeated}' twice.`);
  try {
    const request = wire.readRequest(value);
    return { request, text: request.upstreamBody === value ? bytes : request.upstreamText(text) };
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    if (error instanceof NotMetered) throw new HttpFault(400, 'request_processing_error', error.message);
    const code = error.field === undefined ? 'invalid_json' : 'required_field_missing';
    throw new HttpFault(400, code, error.message, { cause: error });
  }
}

function parse(bytes: Buffer): { readonly text: string; readonly value: unknown } {
  try {
    const text = UTF_8.decode(bytes);
    return { text, value: JSON.parse(text) };
  } catch {
    // What the parser says would show a part of the body.
    throw new HttpFault(400, 'invalid_json', 'The body is not JSON.');
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What a call is judged and counted by. Of two members of one name the provider may take the other one than is read here
 * (RFC 8259, section 4).
 */
const READ_MEMBERS = [
  'model',
  'stream',
  'stream_options',
  'background',
  'n',
  'messages',
  'input',
  'prompt',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
];
const UTF_8 = new TextDecoder('utf-8', { fatal: true });
