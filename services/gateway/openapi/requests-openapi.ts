import {
  answer,
  jsonBody,
  type OpenApiOperation,
  type OpenApiPart,
  object,
  pathParameter,
  ref,
} from './openapi-paths.js';

const ID = pathParameter('request_id', 'As the call answered it');
const RESPONSE = [
  pathParameter('category', 'Of the call'),
  pathParameter('provider_response_id', 'The provider’s id of the answer; of several the one recorded last'),
];

function readResult(operationId: string, parameters: OpenApiOperation['parameters'] = []): OpenApiOperation {
  return {
    operationId,
    summary: 'Reads the result of a recorded call, as it stands now',
    tags: ['requests'],
    parameters,
    responses: {
      200: answer('The result', object({ xproxy_result: ref('XproxyResult') }, ['xproxy_result'])),
    },
  };
}

function label(operationId: string, parameters: OpenApiOperation['parameters'] = []): OpenApiOperation {
  return {
    operationId,
    summary: 'Sets properties of a recorded call; null removes one',
    tags: ['requests'],
    parameters,
    requestBody: jsonBody(
      object({ properties: { type: 'object', additionalProperties: { type: ['string', 'null'] } } }, [
        'properties',
      ]),
    ),
    responses: {
      200: answer('They are set', object({ request_id: { type: 'string' } }, ['request_id'])),
    },
  };
}

export const requestsOpenApi: OpenApiPart = {
  paths: {
    '/requests/{request_id}/properties': {
      post: label('requests.setProperties', [ID]),
      put: label('requests.putProperties', [ID]),
    },
    '/requests/provider/{category}/{provider_response_id}/properties': {
      post: label('requests.setPropertiesByResponse', RESPONSE),
      put: label('requests.putPropertiesByResponse', RESPONSE),
    },
    '/requests/result/{category}/{request_id}': {
      get: readResult('requests.getResultInCategory', [
        pathParameter('category', 'Not looked at: the id alone decides'),
        ID,
      ]),
    },
    '/requests/{request_id}/result': { get: readResult('requests.getResult', [ID]) },
    '/requests/provider/{category}/{provider_response_id}/result': {
      get: readResult('requests.getResultByResponse', RESPONSE),
    },
  },
  schemas: {},
};
