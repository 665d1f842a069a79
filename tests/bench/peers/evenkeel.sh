# Evenkeel, configured by a mesh document: one service with the bench's three ports, all redirected to one listener
case $1 in
info) echo "h1=$PORT_BASE"; echo "h2=$PORT_BASE"; echo "tcp=$PORT_BASE"; echo "ready=$PORT_BASE";;
start)
port() {
    echo "  - port: $1"
    echo "    balance: {algorithm: ${LB:-round_robin}}"
    echo "    endpoints:"
    for backend in $BACKENDS; do echo "    - {address: \"$backend:$2\"}"; done
}
cat > "$WORK/mesh.yaml" <<X
services:
- name: bench
  vips: ["$VIP"]
  ports:
$(port 80 "$HTTP_PORT")
$(port 81 "$HTTP_PORT")
$(port 9000 "$TCP_PORT")
proxy:
  workers: $WORKERS
  outbound: {listen: ["127.0.0.1:$PORT_BASE"]}
  inbound: {listen: ["0.0.0.0:$((PORT_BASE + 1))"]}
  admin: {listen: "127.0.0.1:$((PORT_BASE + 2))"}
  telemetry: {listen: "0.0.0.0:$((PORT_BASE + 3))"}
X
exec "${EVENKEEL_PROXY:?the path of a release build of evenkeel-proxy}" run --config "$WORK/mesh.yaml";;
esac
