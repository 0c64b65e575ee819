import { ExperiencesClient } from '../client/index.js';

/** The experience types of the features that come with this project. */
export const DOCUMENT_SUMMARIZATION = {
  name: 'Document_Summarization',
  description: 'Summarises a document: splits it, summarises the parts, combines the summaries',
  workflowType: 'documentSummarization',
} as const;

/** Creates what is missing; a type that somebody has changed stays as it is. */
export async function createReferenceTypes(address: string): Promise<void> {
  const client = new ExperiencesClient({ address });
  try {
    for await (const { name } of client.types.list({ showDeleted: true })) {
      if (name === DOCUMENT_SUMMARIZATION.name) return;
    }
    await client.types.create(DOCUMENT_SUMMARIZATION);
  } finally {
    client.close();
  }
}
