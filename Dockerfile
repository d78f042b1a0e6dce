# The server as a static binary, with CA certificates and nothing else, run by nobody in particular.
#
#   docker build -t watchword .
#   docker run -p 8080:8080 -v /etc/watchword:/etc/watchword:ro watchword
#
# The image listens on all addresses of its container; TLS ends in front of it.

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /watchword ./cmd/watchword

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /watchword /watchword
ENV WATCHWORD_LISTEN=:8080 WATCHWORD_CONFIG=/etc/watchword/watchword.yaml
USER 65532:65532
EXPOSE 8080
HEALTHCHECK CMD ["/watchword", "healthcheck"]
ENTRYPOINT ["/watchword"]
CMD ["serve"]
