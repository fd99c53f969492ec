from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Question(_message.Message):
    __slots__ = ("attributes",)
    class Attributes(_message.Message):
        __slots__ = ("request", "context_extensions")
        class ContextExtensionsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        REQUEST_FIELD_NUMBER: _ClassVar[int]
        CONTEXT_EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
        request: Question.Request
        context_extensions: _containers.ScalarMap[str, str]
        def __init__(self, request: _Optional[_Union[Question.Request, _Mapping]] = ..., context_extensions: _Optional[_Mapping[str, str]] = ...) -> None: ...
    class Request(_message.Message):
        __slots__ = ("http",)
        HTTP_FIELD_NUMBER: _ClassVar[int]
        http: Question.Http
        def __init__(self, http: _Optional[_Union[Question.Http, _Mapping]] = ...) -> None: ...
    class Http(_message.Message):
        __slots__ = ("method", "headers", "path", "host", "header_map")
        class HeadersEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        METHOD_FIELD_NUMBER: _ClassVar[int]
        HEADERS_FIELD_NUMBER: _ClassVar[int]
        PATH_FIELD_NUMBER: _ClassVar[int]
        HOST_FIELD_NUMBER: _ClassVar[int]
        HEADER_MAP_FIELD_NUMBER: _ClassVar[int]
        method: str
        headers: _containers.ScalarMap[str, str]
        path: str
        host: str
        header_map: Question.Lines
        def __init__(self, method: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., path: _Optional[str] = ..., host: _Optional[str] = ..., header_map: _Optional[_Union[Question.Lines, _Mapping]] = ...) -> None: ...
    class Lines(_message.Message):
        __slots__ = ("headers",)
        HEADERS_FIELD_NUMBER: _ClassVar[int]
        headers: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, headers: _Optional[_Iterable[bytes]] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: Question.Attributes
    def __init__(self, attributes: _Optional[_Union[Question.Attributes, _Mapping]] = ...) -> None: ...
