import { createHash } from 'node:crypto';
import { Fault } from '../domain/fault.js';
import type { RunDocument } from '../domain/run.js';
import { runDocumentId } from '../domain/run-document-id.js';
import type { Uuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';

/** The documents of runs: workflows get them by reference, also those that came with the start. */
export class RunDocuments {
  readonly #documents: Ledger['documents'];

  constructor(documents: Ledger['documents']) {
    this.#documents = documents;
  }

  /** A document that was uploaded before; throws unless it is complete. */
  async uploaded(application: string, id: Uuid, deadline: number): Promise<RunDocument> {
    const document = await this.#documents.get(application, id, deadline);
    if (document.sha256 === undefined) {
      throw new Fault('DOCUMENT_NOT_COMMITTED', `The document '${id}' is not complete yet.`, {
        metadata: { document_id: id },
      });
    }
    return { documentId: id, name: document.name ?? '', sizeBytes: document.sizeBytes };
  }

  /** Keeps a text that came with the start; once, however often it comes. */
  async keep(
    application: string,
    experienceId: Uuid,
    given: { readonly name: string; readonly text: string },
    deadline: number,
  ): Promise<RunDocument> {
    const id = runDocumentId(experienceId);
    const content = Buffer.from(given.text);
    const name = given.name === '' ? undefined : given.name;
    const wanted = { id, name, retentionMs: RETENTION_MS };
    const { document } = await this.#documents.create(application, wanted, deadline);
    if (document.sha256 === undefined)
      await this.#documents.append(application, id, { offset: 0, content }, deadline);
    const sha256 = createHash('sha256').update(content).digest('hex');
    await this.#documents.commit(application, id, { sizeBytes: content.length, sha256 }, deadline);
    return { documentId: id, name: given.name, sizeBytes: content.length };
  }
}

/** As long as the answers of a run are kept. */
const RETENTION_MS = 30 * 86_400_000;
