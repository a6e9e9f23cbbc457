# The server alone: no build step at start, no dev dependency, no root. The pages are built here.
FROM node:26-slim AS build
WORKDIR /app
COPY . .
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:26-slim
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 PUMADB_HOST=0.0.0.0 PUMADB_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/bin bin
COPY --from=build /app/src src
COPY --from=build /app/client/src client/src
COPY --from=build /app/contract contract
COPY --from=build /app/pages/dist pages/dist
COPY --from=build /app/node_modules node_modules
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
	CMD ["node", "-e", "fetch('http://127.0.0.1:8787/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=8", "bin/pumadb.js", "serve"]
