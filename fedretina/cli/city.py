"""``fedretina city``: from nothing to real machines that train together."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedretina.cli.city_table import status_table
from fedretina.cli.options import parse_names, read_bytes
from fedretina.errors import BadArgument

if TYPE_CHECKING:
    from fedretina.city import CityFolder, NodeFolder

app = typer.Typer(no_args_is_help=True, help="Enrol real machines, start their Flower processes, and look after them.")
Folder = Annotated[Path, typer.Argument(help="Folder of the city (server) or of the node (edge).")]
CityArgument = Annotated[Path, typer.Argument(help="Folder of the city.")]
NodeDir = Annotated[Path, typer.Option("--dir", help="Folder of the node.")]
CityDir = Annotated[Path, typer.Option("--dir", help="Folder of the city.")]
CITY_DIR, NODE_DIR = Path("city"), Path("node")


def _show(line: str) -> None:
    """Print a command as a reader would type it; lines that begin with "#" are remarks."""
    typer.echo(line if line.startswith("#") else f"$ {line}", err=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")] = CITY_DIR,
    *,
    name: Annotated[str, typer.Option(help="The city's name; `flwr run APP NAME` uses it.")] = "city",
    address: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT by which nodes reach this server; repeat it for further hosts.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="A city on loopback, for a first look.")] = False,
    root_keys: Annotated[int, typer.Option(help="How many root keys to make.")] = 1,
    threshold: Annotated[int, typer.Option(help="How many root keys must sign.")] = 1,
    post_quantum: Annotated[
        bool, typer.Option("--post-quantum", help="Root and server sign by ML-DSA-65 instead of Ed25519.")
    ] = False,
) -> None:
    """Server: make the city's certificates, keys and root. Print the fingerprint to read aloud to the nodes' operators."""
    from fedretina import city

    addresses = [f"127.0.0.1:{city.DEFAULT_PORT}"] if local and not address else address or []
    if not addresses:
        raise BadArgument("no --address: name the HOST:PORT by which nodes reach this server, or say --local")
    hosts, port = _split(addresses, city.DEFAULT_PORT)
    made = city.create(folder, name, hosts, port, root_keys=root_keys, threshold=threshold, post_quantum=post_quantum)
    typer.echo(f"The city {name} is in {folder}. Nodes reach it at {made.address}, and `flwr run APP {name}` uses it.")
    typer.echo(f"Read this aloud to everyone who joins:\n\n    {city.first_fingerprint(made)}\n")
    typer.echo(f"Next: fedretina city up {folder}" + (" --local --domains NAME,NAME" if local else ""))


@app.command()
def up(
    folder: Folder = CITY_DIR,
    local: Annotated[
        bool, typer.Option("--local", help="Also enrol and start one node for each domain of --domains, on this machine.")
    ] = False,
    domains: Annotated[
        str, typer.Option(help="With --local: the domains, comma-separated; by default those that are enrolled here.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="With --local: the folder of their data; by default the app's own data.")
    ] = None,
) -> None:
    """Start the SuperLink of a city's folder, or the SuperNode of a node's folder, and wait until it answers."""
    from fedretina import city

    found = _load(folder)
    if isinstance(found, city.NodeFolder):
        city.start(found, _show)
        typer.echo(f"The SuperNode of {found.name} runs; its log is {found.log}.")
        return
    if not city.is_running(found):
        city.up(found, _show)
    typer.echo(f"The SuperLink of {found.name} answers at {found.address}.")
    if local:
        names = parse_names(domains) or [node.name for node in city.local_nodes(found)]
        for node in city.start_local(found, names, data, _show):
            typer.echo(f"The SuperNode of {node.name} runs.")
        typer.echo(f"Next: flwr run simulations/duke_target {found.name} --stream")


@app.command()
def down(folder: Folder = CITY_DIR) -> None:
    """End the SuperLink or SuperNode of a folder, and the local nodes of a city."""
    from fedretina import city

    found = _load(folder)
    nodes = city.local_nodes(found) if isinstance(found, city.CityFolder) else []
    for one in [*nodes, found]:
        typer.echo(f"{one.name}: {'ended' if city.stop(one) else 'did not run'}")


@app.command()
def request(
    domains: Annotated[str, typer.Option(help="The domains that this machine hosts, comma-separated.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The request to write.")],
    data: Annotated[Path | None, typer.Option(help="The folder of their data; by default the app's own data.")] = None,
    role: Annotated[str, typer.Option(help="edge (trains) or front-end (only receives).")] = "edge",
    *,
    post_quantum: Annotated[
        bool,
        typer.Option("--post-quantum", help="Sign by ML-DSA-65 beside Ed25519; receive by ML-KEM-768 with X25519."),
    ] = False,
    no_share: Annotated[
        bool, typer.Option("--no-share", help="Weights trained on its targets' data never leave it: no co-training.")
    ] = False,
    folder: NodeDir = NODE_DIR,
) -> None:
    """Edge: make this machine's keys, and a request for the server's operator. It holds nothing secret."""
    from fedretina import city

    names = parse_names(domains)
    made = city.make_request(folder, names, role=role, data=data, post_quantum=post_quantum, share=not no_share)
    out.write_bytes(made)
    typer.echo(f"The keys are in {folder}. Send {out} to the server's operator, who answers with a .join file.")
    typer.echo(f"Next, with that file: fedretina city join FILE.join --dir {folder}")


@app.command()
def approve(
    requests: Annotated[list[Path], typer.Argument(help="The files that `city request` or `city rotate` wrote.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The answer to write; only with a single request.")] = None,
    folder: CityDir = CITY_DIR,
) -> None:
    """Server: admit domains, register their nodes, and write the answers beside the requests."""
    from fedretina import city

    if out is not None and len(requests) > 1:
        raise BadArgument(f"-o {out} with {len(requests)} requests: leave -o out; answers get the requests' names")
    found = city.CityFolder.load(folder)
    for path in requests:
        asked, answer = city.approve(found, read_bytes(path), _show)
        target = out or path.with_suffix(".join")
        target.write_bytes(answer)
        typer.echo(f"{asked.name} ({asked.role}) is admitted. Send back {target}.")


@app.command()
def join(
    answer: Annotated[Path, typer.Argument(help="The .join file.")],
    fingerprint: Annotated[str | None, typer.Option(help="The fingerprint that the operator reads aloud.")] = None,
    start: Annotated[bool, typer.Option(help="Start the SuperNode afterwards.")] = True,
    folder: NodeDir = NODE_DIR,
) -> None:
    """Edge: compare the fingerprint, keep the city root, check this machine, and start the SuperNode."""
    from fedretina import city

    def ask(shown: str) -> str:
        typer.echo(f"The file's city root has the fingerprint\n\n    {shown}\n")
        if fingerprint is not None:
            return fingerprint
        return shown if typer.confirm("Does the operator read the same aloud?") else "what the operator reads aloud"

    node = city.join(city.NodeFolder.load(folder), read_bytes(answer), ask)
    typer.echo(f"{node.name} belongs to the city {node.city} at {node.address}.")
    if _print_findings(node):
        raise typer.Exit(1)
    if start:
        city.start(node, _show)
        typer.echo(f"The SuperNode runs; its log is {node.log}.")


@app.command()
def doctor(folder: Annotated[Path, typer.Argument(help="Folder of the node.")] = NODE_DIR) -> None:
    """Edge: say what is wrong with this machine, and what to do. Exits with 1 if a round cannot work."""
    from fedretina import city

    if _print_findings(city.NodeFolder.load(folder)):
        raise typer.Exit(1)


@app.command()
def status(
    folder: CityArgument = CITY_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Server: show each node: what it hosts and holds, its last report, its bytes, packages, and refused attacks."""
    from fedretina import city

    rows = city.node_statuses(city.CityFolder.load(folder), lambda command: None if as_json else _show(command))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], indent=1))
        return
    if rows:
        Console().print(status_table(rows))
    else:
        typer.echo("No node is admitted yet. Next, with a request from an edge machine: fedretina city approve FILE.request")


@app.command()
def units(
    folder: Folder = CITY_DIR,
    systemd: Annotated[bool, typer.Option("--systemd", help="A systemd unit.")] = False,
    compose: Annotated[bool, typer.Option("--compose", help="A compose file.")] = False,
    user: Annotated[str, typer.Option(help="With --systemd: the user that runs it.")] = "fedretina",
    image: Annotated[str, typer.Option(help="With --compose: the image that holds fedretina.")] = "fedretina",
) -> None:
    """Print a unit file that starts a folder's process at boot."""
    from fedretina import city

    if systemd == compose:
        raise BadArgument("say either --systemd or --compose")
    found = _load(folder)
    typer.echo(city.systemd_unit(found, user=user) if systemd else city.compose_file(found, image=image), nl=False)


@app.command()
def revoke(domain: Annotated[str, typer.Argument(help="The domain.")], folder: CityDir = CITY_DIR) -> None:
    """Server: take a domain out of the city root; nodes then refuse its models, and the SuperLink a node without domains."""
    from fedretina import city

    root = city.revoke(city.CityFolder.load(folder), domain, _show)
    typer.echo(
        f"Root {root.version} lists {', '.join(root.domains) or 'no domain'}; nodes learn it with their next message."
    )


@app.command()
def rotate(
    domain: Annotated[str, typer.Argument(help="The domain.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The request to write.")],
    folder: NodeDir = NODE_DIR,
) -> None:
    """Edge: make new keys for a domain, and a request that the old key signs. The old keys stay in use until `join`."""
    from fedretina import city

    out.write_bytes(city.make_rotation(city.NodeFolder.load(folder), domain))
    typer.echo(f"Send {out} to the server's operator; then: fedretina city join FILE.join --dir {folder}")


def _print_findings(node: "NodeFolder") -> bool:
    """Print what the doctor finds; return whether a round cannot work."""
    from fedretina import city

    findings = city.examine(node)
    for finding in findings:
        typer.echo(f"{finding.level:7}  {finding.what}" + (f": {finding.remedy}" if finding.remedy else ""))
    return any(finding.level == "error" for finding in findings)


def _load(folder: Path) -> "CityFolder | NodeFolder":
    from fedretina import city

    kind = city.CityFolder if (folder / city.CityFolder.FILE).exists() else city.NodeFolder
    return kind.load(folder)


def _split(addresses: list[str], default: int) -> tuple[list[str], int]:
    hosts, ports = [], set()
    for address in addresses:
        host, _, port = address.rpartition(":") if address.rpartition(":")[2].isdigit() else (address, "", str(default))
        hosts.append(host.strip("[]"))
        ports.add(int(port))
    if len(ports) > 1:
        raise BadArgument(f"the addresses have the ports {', '.join(map(str, sorted(ports)))}; a city has one")
    return hosts, ports.pop()
