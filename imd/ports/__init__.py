"""What logic needs of the outside, as interfaces, and the values that pass through them, a file for each topic.

The adapters live in the rooms beside logic: ``gateway`` (ISession, IDelivery), ``storage`` (IMessageStore,
IConversationStore, IGroupStore, INoticeStore, IUserStore, IRetentionStore), ``presence`` (IPresence), ``sso`` (ISso).
"""
