import { type Caller, ExperiencesClient } from '../client/index.js';

/** The experience types of the features that come with this project. */
export const DOCUMENT_SUMMARIZATION = {
  name: 'Document_Summarization',
  description: 'Summarises a document: splits it, summarises the parts, combines the summaries',
  workflowType: 'documentSummarization',
} as const;

export const DOCUMENT_CHATBOT = {
  name: 'Document_Chatbot',
  description: 'Answers questions about a document, with the passages that the answers rest on',
  workflowType: 'documentChatbot',
} as const;

/** Creates what is missing; a type that somebody has changed stays as it is. */
export async function createReferenceTypes(address: string, caller: Caller = {}): Promise<void> {
  const client = new ExperiencesClient({ address, caller });
  try {
    const present = new Set<string>();
    for await (const { name } of client.types.list({ showDeleted: true })) present.add(name);
    for (const type of [DOCUMENT_SUMMARIZATION, DOCUMENT_CHATBOT]) {
      if (!present.has(type.name)) await client.types.create(type);
    }
  } finally {
    client.close();
  }
}
