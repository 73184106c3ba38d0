"""Letters: what could be said to each customer, as e-mail drafts and call scripts in the customer's language."""
