import pickle

from groundmesh.errors import BY_CODE, Code, InvalidArgument, NotFound, Reason
from groundmesh.v1.errors_pb2 import ErrorReason


def test_every_code_but_unknown_has_one_class() -> None:
    assert set(BY_CODE) == set(Code) - {Code.UNKNOWN}


def test_the_contract_documents_every_reason() -> None:
    assert {f"ERROR_REASON_{reason}" for reason in Reason} == set(ErrorReason.keys())


def test_a_wrong_field_is_named_in_message_and_details() -> None:
    error = InvalidArgument.of_field("texts[3]", "is empty")
    assert str(error) == error.message == "texts[3]: is empty"
    assert [(v.field, v.description) for v in error.fields] == [("texts[3]", "is empty")]


def test_an_error_can_cross_a_process_border() -> None:
    error = NotFound("x", reason=Reason.DOCUMENT_NOT_FOUND, metadata={"k": "v"})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is NotFound
    assert vars(copy) == vars(error)
