import { Fault } from '../domain/fault.js';

export function typeNotFound(name: string): Fault {
  return new Fault('EXPERIENCE_TYPE_NOT_FOUND', `There is no experience type '${name}'.`, {
    metadata: { experience_type: name },
  });
}

export function experienceNotFound(id: string): Fault {
  return new Fault('EXPERIENCE_NOT_FOUND', `There is no experience '${id}'.`, {
    metadata: { experience_id: id },
  });
}
