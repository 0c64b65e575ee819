import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { type Channel, callUnary } from './call.js';
import { fromWireTime, fromWireType } from './from-wire.js';
import type { NewLimitConfig } from './limit-types.js';
import { PAGE_SIZE, type Page, pages } from './pages.js';
import { toWireLimitConfig } from './to-wire.js';
import type { ExperienceType, ExperienceTypeVersion } from './types.js';

const methods = contract.ExperienceTypeService.service;

/** Experience types: the features whose uses are measured. */
export class TypesClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** The existing type if it has the same content. */
  async create(type: {
    readonly name: string;
    readonly description: string;
    /** The Temporal workflow that runs it. Absent: it is recorded only. */
    readonly workflowType?: string;
    readonly taskQueue?: string;
    /** The limit of its own that each new experience gets. Absent: none. */
    readonly limitConfig?: NewLimitConfig;
    /** Absent: false. */
    readonly loggingDisabled?: boolean;
  }): Promise<{ readonly type: ExperienceType; readonly alreadyExisted: boolean }> {
    const limitConfig = type.limitConfig === undefined ? null : toWireLimitConfig(type.limitConfig);
    const answer = await callUnary(this.#channel, methods.CreateExperienceType, { ...type, limitConfig });
    return { type: fromWireType(answer.experienceType), alreadyExisted: answer.alreadyExisted };
  }

  async get(name: string, options: { readonly showDeleted?: boolean } = {}): Promise<ExperienceType> {
    const answer = await callUnary(this.#channel, methods.GetExperienceType, { name, ...options });
    return fromWireType(answer.experienceType);
  }

  /** All types in the order of names, read page by page. */
  list(options: { readonly showDeleted?: boolean } = {}): AsyncGenerator<ExperienceType, void, undefined> {
    return pages(async (pageToken) => {
      const request = { ...options, pageSize: PAGE_SIZE, pageToken };
      const answer = await callUnary(this.#channel, methods.ListExperienceTypes, request);
      return { items: answer.experienceTypes.map(fromWireType), nextPageToken: answer.nextPageToken };
    });
  }

  /** One page; without a token the first one. */
  async page(options: {
    readonly pageSize: number;
    readonly pageToken: string;
    /** Whether the last name comes first. */
    readonly descending?: boolean;
  }): Promise<Page<ExperienceType>> {
    const answer = await callUnary(this.#channel, methods.ListExperienceTypes, options);
    return { items: answer.experienceTypes.map(fromWireType), nextPageToken: answer.nextPageToken };
  }

  /** Changes the fields that are given; an empty text takes a workflow or task queue away, and null a limit. */
  async update(
    name: string,
    change: {
      readonly description?: string;
      readonly workflowType?: string;
      readonly taskQueue?: string;
      /** Limits that experiences have stay as they are. */
      readonly limitConfig?: NewLimitConfig | null;
      readonly loggingDisabled?: boolean;
      readonly etag?: string;
    },
  ): Promise<ExperienceType> {
    const paths = [
      ...(change.description === undefined ? [] : ['description']),
      ...(change.workflowType === undefined ? [] : ['workflow_type']),
      ...(change.taskQueue === undefined ? [] : ['task_queue']),
      ...(change.limitConfig === undefined ? [] : ['limit_config']),
      ...(change.loggingDisabled === undefined ? [] : ['logging_disabled']),
    ];
    const limitConfig = change.limitConfig ? toWireLimitConfig(change.limitConfig) : null;
    const request = { name, ...change, limitConfig, updateMask: { paths } };
    const options = { repeatable: change.etag === undefined };
    const answer = await callUnary(this.#channel, methods.UpdateExperienceType, request, options);
    return fromWireType(answer.experienceType);
  }

  async delete(name: string, options: { readonly etag?: string } = {}): Promise<ExperienceType> {
    const answer = await callUnary(this.#channel, methods.DeleteExperienceType, { name, ...options });
    return fromWireType(answer.experienceType);
  }

  async undelete(name: string): Promise<ExperienceType> {
    const answer = await callUnary(this.#channel, methods.UndeleteExperienceType, { name });
    return fromWireType(answer.experienceType);
  }

  /** Raises the version by one, once for each call of this method. */
  async incrementVersion(
    name: string,
    options: { readonly etag?: string; readonly requestId?: string } = {},
  ): Promise<{ readonly type: ExperienceType; readonly version: number }> {
    const request = { name, ...options, requestId: options.requestId ?? newUuid() };
    const answer = await callUnary(this.#channel, methods.IncrementExperienceTypeVersion, request);
    return { type: fromWireType(answer.experienceType), version: answer.version };
  }

  /** Newest first, read page by page. */
  versions(name: string): AsyncGenerator<ExperienceTypeVersion, void, undefined> {
    return pages(async (pageToken) => {
      const request = { name, pageSize: PAGE_SIZE, pageToken };
      const answer = await callUnary(this.#channel, methods.ListExperienceTypeVersions, request);
      const items = answer.versions.map(({ version, createTime }) => ({
        version,
        createTime: fromWireTime(createTime) ?? new Date(0),
      }));
      return { items, nextPageToken: answer.nextPageToken };
    });
  }
}
