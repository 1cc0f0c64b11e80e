"""The SQL catalog: what there is. A row's commit is the commit of everything about a document."""
