"""The wire: generated from ``protos/groundmesh/v1`` by `make proto`, never edited."""
