import { unitKind } from '../domain/units.js';

/** The kinds of unit that providers' answers are read as; those of the catalogue, but for `image`. */

export const TEXT = unitKind('text');
export const CACHE_READ = unitKind('text_cache_read');
export const CACHE_WRITE = unitKind('text_cache_write');
export const CACHE_WRITE_1H = unitKind('text_cache_write_1h');
export const VISION = unitKind('vision');
export const AUDIO = unitKind('audio');
export const WEB_SEARCH = unitKind('web_search_request');
export const STORAGE_SEARCH = unitKind('storage_search_request');
/** Whole images, of models that are not paid by the token. The catalogue has no price for it; an application may. */
export const IMAGE = unitKind('image');
