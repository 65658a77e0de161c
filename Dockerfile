# The service itself (web and worker). The sandbox image is another one: sandbox/Dockerfile.
FROM node:24-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends git ca-certificates redis-server && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY app.yml ./
COPY src src
COPY worker worker
COPY sandbox sandbox
ENV HOST=0.0.0.0
ENTRYPOINT ["node", "src/cli/agent-fix.js"]
CMD ["up"]
