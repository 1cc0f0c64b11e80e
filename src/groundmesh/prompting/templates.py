"""The templates that there are, by name and version: the built-in ones and a team's own."""

from collections.abc import Iterable

from groundmesh.errors import NotFound, Reason
from groundmesh.prompting.builtin import BUILT_IN
from groundmesh.prompting.template import Template, TemplateError


class Templates:
    """Some templates, none twice."""

    def __init__(self, templates: Iterable[Template] = BUILT_IN) -> None:
        """Of several versions of a name, the newest is meant where none is said."""
        self._by_reference: dict[str, Template] = {}
        for template in sorted(templates, key=lambda each: each.version):
            if template.reference in self._by_reference:
                raise TemplateError("version", f"{template.reference} is there twice")
            self._by_reference |= {template.reference: template, template.name: template}

    def get(self, reference: str) -> Template:
        """The template ``{name}`` or ``{name}@{version}``, else NotFound that names them all."""
        found = self._by_reference.get(reference)
        if found is None:
            known = ", ".join(each for each in self._by_reference if "@" in each)
            raise NotFound(
                f"there is no template {reference[:100]!r}, but {known}",
                reason=Reason.TEMPLATE_NOT_FOUND,
            )
        return found
