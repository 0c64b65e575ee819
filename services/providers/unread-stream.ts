import { NOTHING_USED } from './estimated-units.js';
import { isRecord, parseJsonRecord } from './json-value.js';
import type {
  ProviderAnswer,
  ProviderRequest,
  ProviderStream,
  StreamEvent,
  StreamStep,
} from './provider-contract.js';

/** A stream where the protocol knows none: everything passes, nothing is told of usage, and the prompt was read. */
export class UnreadStream implements ProviderStream {
  readonly #request: ProviderRequest;
  #hasFailed = false;

  constructor(request: ProviderRequest) {
    this.#request = request;
  }

  push(event: StreamEvent): StreamStep {
    if (isRecord(parseJsonRecord(event.data)?.error)) this.#hasFailed = true;
    return { forward: [event] };
  }

  end(): StreamStep {
    return { forward: [] };
  }

  answer(): ProviderAnswer & { readonly complete: boolean } {
    if (this.#hasFailed)
      return { units: NOTHING_USED, unitsBasis: 'estimated', failed: true, complete: false };
    return { units: this.#request.promptUnits(), unitsBasis: 'estimated', complete: false };
  }
}
