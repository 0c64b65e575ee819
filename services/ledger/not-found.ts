import { Fault } from '../domain/fault.js';

export function typeNotFound(name: string): Fault {
  return new Fault('EXPERIENCE_TYPE_NOT_FOUND', `There is no experience type '${name}'.`, {
    metadata: { experience_type: name },
  });
}

/** Also of one whose time is over: nobody can tell it from one that never was. */
export function documentNotFound(id: string): Fault {
  return new Fault('DOCUMENT_NOT_FOUND', `There is no document '${id}'.`, {
    metadata: { document_id: id },
  });
}

export function experienceNotFound(id: string): Fault {
  return new Fault('EXPERIENCE_NOT_FOUND', `There is no experience '${id}'.`, {
    metadata: { experience_id: id },
  });
}

export function applicationNotFound(id: string): Fault {
  return new Fault('APPLICATION_NOT_FOUND', `There is no application '${id}'.`, {
    metadata: { application_id: id },
  });
}

export function apiKeyNotFound(id: string): Fault {
  return new Fault('API_KEY_NOT_FOUND', `There is no key '${id}'.`, { metadata: { key_id: id } });
}

export function limitNotFound(id: string): Fault {
  return new Fault('LIMIT_NOT_FOUND', `There is no limit '${id}'.`, { metadata: { limit_id: id } });
}

export function usageNotFound(id: string): Fault {
  return new Fault('USAGE_NOT_FOUND', `There is no event '${id}'.`, { metadata: { event_id: id } });
}
