"""The chassis: what every service and every test of one is started with.

``settings`` load, ``engine`` is what a core offers, ``app`` serves, ``checks`` validate requests.
Nothing is imported here, so that a core can use ``groundmesh.server.engine`` without grpc.
"""
