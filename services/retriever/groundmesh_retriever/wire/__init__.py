"""Messages to the domain's types and back."""
