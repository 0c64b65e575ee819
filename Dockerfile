# One image for the service, the gateway, the worker and the command line; the command chooses which, see docker-compose.yml.
# Debian, because Temporal's native part is built for glibc only: it does not load on Alpine.

FROM node:20-bookworm-slim AS build
WORKDIR /app

# The packages first: they are installed again only when the lockfile has changed. None needs its install script.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts

COPY tsconfig.json tsconfig.build.json ./
COPY proto ./proto
COPY services ./services
COPY workflows ./workflows
RUN npm run build

# What only the build needs goes, and Temporal's native parts for other platforms, which are 100 MB.
RUN npm prune --omit=dev --ignore-scripts
RUN find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
  -not -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The compiler copies only code; these are read beside it.
COPY --from=build /app/proto ./proto
COPY --from=build /app/services/contract/generated/descriptors.binpb ./services/contract/generated/
COPY --from=build /app/services/pricing/catalogue.json ./services/pricing/

# A new volume takes over the owner of what it is mounted over.
RUN install -d -o node -g node /var/lib/experiences

USER node
EXPOSE 50051
# No HEALTHCHECK: it would hold for the worker too, which listens nowhere. docker-compose.yml has the service's.
CMD ["node", "dist/services/server/main.js"]
