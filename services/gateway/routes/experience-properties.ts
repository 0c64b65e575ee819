import { type ExperiencesClient, ExperiencesError } from '../../client/index.js';

/**
 * Sets properties of an experience after a call to it was recorded. That the call is in the ledger stays true whatever comes
 * of this, so what goes wrong is answered as a warning; undefined: nothing did.
 */
export async function setExperienceProperties(
  client: ExperiencesClient,
  experienceId: string | undefined,
  properties: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  if (Object.keys(properties).length === 0) return undefined;
  if (experienceId === undefined)
    return 'The properties of the experience are dropped: the event names none.';
  try {
    await client.experiences.updateProperties(experienceId, { set: properties });
    return undefined;
  } catch (error) {
    if (!(error instanceof ExperiencesError)) throw error;
    const why = error.reason ?? error.code;
    return `The event is recorded, but the properties of the experience '${experienceId}' are not set: ${why}.`;
  }
}
