# syntax=docker/dockerfile:1

FROM node:24-slim AS base
WORKDIR /app
ENV CI=true
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY patches ./patches

FROM base AS build
RUN npx -y pnpm@12 install --frozen-lockfile
COPY . .
RUN npx -y pnpm@12 build

FROM base AS production
RUN npx -y pnpm@12 install --frozen-lockfile --prod

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production
ENV PORT=3000
COPY package.json ./
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/build ./build
COPY drizzle ./drizzle
# What runs before the build is loaded: settings and migrations.
COPY src/entry.ts src/env.ts ./src/
COPY src/lib/server/platform/migrate.ts ./src/lib/server/platform/
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
	CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/entry.ts"]
