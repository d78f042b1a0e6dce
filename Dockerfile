# The server as a static binary, with CA certificates and nothing else, run by nobody in particular.
#
#   docker build -t watchword .
#   docker run -v keys:/etc/watchword/keys watchword keys new --dir /etc/watchword/keys --name 1
#   docker run -p 8080:8080 -v keys:/etc/watchword/keys:ro -v ./watchword.yaml:/etc/watchword/watchword.yaml:ro watchword
#
# The image listens on all addresses of its container; TLS ends in front of it. Its user, 65532, owns the folder of the keys, and so a
# volume that is first mounted there. docs/deploy.md has more.

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.releaseVersion=$VERSION" -o /watchword ./cmd/watchword
RUN mkdir -m 700 /keys

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /watchword /watchword
COPY --from=build --chown=65532:65532 /keys /etc/watchword/keys
ENV WATCHWORD_LISTEN=:8080 WATCHWORD_CONFIG=/etc/watchword/watchword.yaml
USER 65532:65532
EXPOSE 8080
HEALTHCHECK CMD ["/watchword", "healthcheck"]
ENTRYPOINT ["/watchword"]
CMD ["serve"]
