"""Makes the databases beside this file: python3 -m pip install mmdb-writer==0.2.7 netaddr==1.3.0 && python3 make.py

The networks are those that are set aside for documentation.
"""

from pathlib import Path

import mmdb_writer
from mmdb_writer import MMDBWriter, MmdbF64, MmdbI32, MmdbU128, MmdbU16, MmdbU64
from netaddr import IPSet

here = Path(__file__).parent
# The same files at every run.
mmdb_writer.time.time = lambda: 1_700_000_000


def country(code, name):
    return {"country": {"iso_code": code, "names": {"en": name, "de": name + " (de)"}}}


def write(name, ip_version, networks):
    writer = MMDBWriter(
        ip_version=ip_version,
        ipv4_compatible=ip_version == 6,
        database_type="Tracemill-Test",
        description="Networks for documentation",
        languages=["en", "de"],
    )
    for network, record in networks:
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(here / name))


north = country("NN", "Northland") | {
    "traits": {"is_anycast": True, "asn": MmdbU16(64500), "offset": MmdbI32(-7), "large": MmdbU64(2**63), "huge": MmdbU128(2**100)},
    "location": {"latitude": MmdbF64(60.25)},
    "subdivisions": [{"iso_code": "N1"}, {"iso_code": "N2"}],
    "raw": b"\x00\xff",
}
south = country("SS", "Southland")
write("places.mmdb", 6, [("192.0.2.0/24", north), ("198.51.100.0/25", south), ("2001:db8::/32", south)])
write("ipv4.mmdb", 4, [("192.0.2.0/24", south)])
