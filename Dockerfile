# The image of sluice: one static binary, no shell, not root. `make image` builds it.
#
# The compiler runs on the machine that builds, and compiles for the one that is
# built for, so that no emulation is needed.
ARG GO_VERSION=1.26
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY internal internal
ARG TARGETOS TARGETARCH
ARG VERSION=dev
# Time zones go into the binary; an empty directory, for what a user mounts no volume for.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -tags timetzdata -ldflags "-s -w -X sluice/internal/app.Version=$VERSION" -o /out/sluice ./cmd/sluice \
    && mkdir /out/data

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="MongoDB to Elasticsearch or OpenSearch, and to object storage" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sluice /sluice
COPY --from=build --chown=65532:65532 /out/data /var/lib/sluice
COPY LICENSE /LICENSE
USER 65532:65532
WORKDIR /var/lib/sluice
EXPOSE 9630 9631
ENTRYPOINT ["/sluice"]
# It reads /etc/sluice/sluice.yaml.
CMD ["run"]
